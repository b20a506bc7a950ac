"""What every command shares at the terminal.

``session``  the settings, and printing: JSON, lines, tables
``failure``  how a command says that it could not do what was asked, and its exit code
``bar``      a progress bar
``windows``  windows of time as people write them
"""

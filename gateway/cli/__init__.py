"""The command line: a thin client of the HTTP door, and the edge where settings are read and processes start.

``main`` loads only the module whose command was called, so that ``aos --help`` answers at once. A command of one file
lies here; one of several has a room, ``command`` in it. What commands share:

``terminal``  settings, printing, failures with their exit codes
``door``      the HTTP door: its client, and its JSON for people
``bus``       the bus itself

Exit codes:

0 done · 1 the task failed or the gateway refused · 2 wrong usage or setting · 3 gateway or bus not reachable ·
4 no such task or agent · 5 still running when the wait was over · 6 waits for a person's approval · 130 interrupted
"""

"""`aos experience`: what happened, for learning. Read from the store itself, beside a running evolution role.

``command``  the group
``export``   records in a file
``source``   the store, as all commands read it
``whose``    whether it is the experience of the bus that a command speaks to
"""

"""`aos doctor`: what is missing on this machine and how to get it.

``command``      what the command line calls
``checkup``      the checks
``credentials``  whether services let us in with the keys that are set
``gateway``      whether the gateway that is set runs on the bus that is set
``findings``     what a check found
"""

"""Lets a process give way to those that serve tasks. Called by the evolution role.

Where Linux shares cores out by session (sched(7), "The autogroup feature"), a nice value counts only among the
processes of one session, and `aos up` gives every process a session of its own: there the session gives way as well.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")


def give_way(niceness: int) -> None:
    """From now on, for this thread and those that it starts. 0 changes nothing, 19 leaves it what nobody else wants.

    Where the system allows none of it, nothing changes.
    """
    if niceness <= 0:
        return
    _be_nice(niceness)
    if hasattr(os, "SCHED_BATCH"):
        # Of two that wait for a core, one that computes for long is not let in before one that answers soon.
        with suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    if os.getsid(0) == os.getpid():  # another's session holds other processes too, a person's shell for one
        with suppress(OSError):
            AUTOGROUP.write_text(str(niceness))


def _be_nice(niceness: int) -> None:
    thread = threading.get_native_id()
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, max(niceness, os.getpriority(os.PRIO_PROCESS, thread)))

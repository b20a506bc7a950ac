"""Ties a child process to its parent's life, so that nothing is left running. Passed to whatever starts a process.

Linux only (prctl(2), PR_SET_PDEATHSIG); elsewhere children are stopped on every orderly end, but outlive a SIGKILL.
The kernel watches the *thread* that forked: start children from the main thread, never from a pool.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_PR_SET_TIMERSLACK = 29
_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def leash(timer_slack_us: int = 0) -> Callable[[], None]:
    """A ``preexec_fn``: the child gets SIGKILL the moment this process ends, however it ends.

    ``timer_slack_us``: by how much the kernel may be late when it wakes the child's threads from a sleep; 0 leaves that
    as it is (prctl(2), PR_SET_TIMERSLACK).
    """
    parent = os.getpid()

    def fasten() -> None:
        if _LIBC is None:
            return
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if timer_slack_us:
            _LIBC.prctl(_PR_SET_TIMERSLACK, ctypes.c_ulong(timer_slack_us * 1000))
        if os.getppid() != parent:  # it ended between fork and here: no signal will come any more
            os.kill(os.getpid(), signal.SIGKILL)

    return fasten

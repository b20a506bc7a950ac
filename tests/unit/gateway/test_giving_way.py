"""A process that gives way does so in its session too, and takes nobody else's session along."""

import os
import subprocess
import sys

import pytest

from gateway.roles.yielding import AUTOGROUP

GIVE_WAY = """
import os
from gateway.roles.yielding import AUTOGROUP, give_way
give_way({niceness})
said = (AUTOGROUP.read_text() if AUTOGROUP.exists() else "").split()[-1:] or ["none"]
print(os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), *said)
"""


def after(niceness: int, *, own_session: bool) -> tuple[int, int, str]:
    """The nice value of such a process, its scheduling policy and its session's nice value."""
    command = [sys.executable, "-c", GIVE_WAY.format(niceness=niceness)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=own_session)
    nice, policy, session = said.stdout.split()
    return int(nice), int(policy), session


def ours() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def test_the_process_and_its_own_session_give_way():
    nice, policy, session = after(12, own_session=True)
    assert (nice, policy) == (max(12, ours()), os.SCHED_BATCH)
    assert session == ("12" if AUTOGROUP.exists() else "none")


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not schedule by session")
def test_a_session_that_holds_other_processes_stays_as_it_was():
    before = AUTOGROUP.read_text()  # empty where the session is in no group of its own
    assert after(12, own_session=False)[2] == (before.split() or ["none"])[-1]
    assert AUTOGROUP.read_text() == before


def test_who_gives_no_way_stays_as_it_was():
    assert after(0, own_session=True)[:2] == (ours(), os.sched_getscheduler(0))


def test_nobody_is_made_less_nice():
    assert after(1, own_session=True)[0] == max(1, ours())

"""A process that gives way does so in its session too, and takes nobody else's session along."""

import os
import subprocess
import sys

import pytest

from gateway.roles.yielding import AUTOGROUP, BEHIND

GIVE_WAY = """
import os
from gateway.roles.yielding import AUTOGROUP, give_way
give_way({niceness})
said = AUTOGROUP.read_text().split()[-1] if AUTOGROUP.exists() else "none"
print(os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0), said)
"""


def after(niceness: int, *, own_session: bool) -> tuple[int, int, str]:
    """The nice value of such a process, its scheduling policy and its session's nice value."""
    command = [sys.executable, "-c", GIVE_WAY.format(niceness=niceness)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=own_session)
    nice, policy, session = said.stdout.split()
    return int(nice), int(policy), session


WITHIN = """
import os, threading
from concurrent.futures import ThreadPoolExecutor
from gateway.roles.yielding import give_way_within
nice = lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
with ThreadPoolExecutor(1, initializer=give_way_within) as thread:
    print(nice(), thread.submit(nice).result())
"""


def ours() -> int:
    return os.getpriority(os.PRIO_PROCESS, 0)


def test_the_process_and_its_own_session_give_way():
    nice, policy, session = after(12, own_session=True)
    assert (nice, policy) == (max(12, ours()), os.SCHED_BATCH)
    assert session == ("12" if AUTOGROUP.exists() else "none")


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not schedule by session")
def test_a_session_that_holds_other_processes_stays_as_it_was():
    before = AUTOGROUP.read_text().split()[-1]
    assert after(12, own_session=False)[2] == before
    assert AUTOGROUP.read_text().split()[-1] == before


def test_who_gives_no_way_stays_as_it_was():
    assert after(0, own_session=True)[:2] == (ours(), os.sched_getscheduler(0))


def test_nobody_is_made_less_nice():
    assert after(1, own_session=True)[0] == max(1, ours())


def test_a_thread_gives_way_to_the_others_of_its_process():
    said = subprocess.run([sys.executable, "-c", WITHIN], capture_output=True, text=True, check=True)
    nice, learning = map(int, said.stdout.split())
    assert (nice, learning) == (ours(), min(19, ours() + BEHIND))

"""What a child gets from its leash besides the end: how late the kernel may wake it."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.leash import leash

SLACK = Path("/proc/self/timerslack_ns")

pytestmark = pytest.mark.skipif(not SLACK.exists(), reason="this system does not tell timer slack")


def slack_ns_of_a_child(timer_slack_us: int) -> int:
    code = f"print(open({str(SLACK)!r}).read())"
    command = [sys.executable, "-S", "-c", code]
    told = subprocess.run(command, preexec_fn=leash(timer_slack_us), capture_output=True, check=True, timeout=60)
    return int(told.stdout)


def test_a_child_may_be_woken_later_where_that_is_asked_for():
    assert slack_ns_of_a_child(200) == 200_000


def test_where_nothing_is_asked_for_a_child_is_woken_as_this_process():
    assert slack_ns_of_a_child(0) == int(SLACK.read_text())

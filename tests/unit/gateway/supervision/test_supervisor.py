"""Real processes: restarted when they crash, drained when asked, gone when the supervisor is gone."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from gateway.supervision.child import ChildSpec
from gateway.supervision.logs import open_log, roll, tail
from gateway.supervision.restarts import RestartPolicy
from gateway.supervision.supervisor import ChildState, ChildStatus, Supervisor

POLICY = RestartPolicy(backoff_s=0.01, backoff_max_s=0.05, crash_limit=4, window_s=60.0)

OBEDIENT = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: (print('drained'), sys.exit(0)))"
SLEEP = "; print('up', flush=True); time.sleep(600)"


class Changes:
    """Remembers every change of state, and lets tests wait for one."""

    def __init__(self) -> None:
        self.seen: list[ChildStatus] = []
        self._news = asyncio.Event()

    def __call__(self, status: ChildStatus) -> None:
        self.seen.append(status)
        self._news.set()

    async def until(self, wanted: Callable[[ChildStatus], bool], timeout_s: float = 20) -> ChildStatus:
        async with asyncio.timeout(timeout_s):
            while True:
                for status in self.seen:
                    if wanted(status):
                        return status
                self._news.clear()
                await self._news.wait()


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
async def supervisor(tmp_path: Path, changes: Changes) -> AsyncIterator[Supervisor]:
    looked_after = Supervisor(tmp_path / "logs", POLICY, drain_s=10.0, on_change=changes)
    yield looked_after
    await looked_after.stop()


def spec(name: str, code: str, stage: int = 0) -> ChildSpec:
    return ChildSpec(name, (sys.executable, "-S", "-c", code), stage=stage, env=dict(os.environ))


async def until_gone(pid: int) -> None:
    with suppress(psutil.NoSuchProcess):
        await asyncio.to_thread(psutil.Process(pid).wait, 10)


def lines_of(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


async def until_up(log: Path) -> None:
    async with asyncio.timeout(20):
        while "up" not in lines_of(log):
            await asyncio.sleep(0.01)


async def test_a_killed_process_is_started_again(supervisor: Supervisor, changes: Changes):
    first = await supervisor.add(spec("sleeper", "import time" + SLEEP))
    os.kill(first.pid, signal.SIGKILL)
    second = await changes.until(lambda s: s.state is ChildState.RUNNING and s.restarts == 1)
    assert second.pid != first.pid
    assert second.last_exit == -signal.SIGKILL


@pytest.mark.skipif(not Path("/proc/self/timerslack_ns").exists(), reason="this system does not tell timer slack")
async def test_a_child_may_be_woken_as_late_as_its_spec_says(supervisor: Supervisor):
    late = spec("late", "import time; print(open('/proc/self/timerslack_ns').read())" + SLEEP)
    status = await supervisor.add(replace(late, timer_slack_us=300))
    await until_up(status.log)
    assert "300000" in lines_of(status.log)


async def test_a_crash_loop_ends(supervisor: Supervisor, changes: Changes):
    await supervisor.add(spec("broken", "raise SystemExit(7)"))
    status = await changes.until(lambda s: s.state is ChildState.GIVEN_UP)
    assert status.last_exit == 7
    assert sum(1 for s in changes.seen if s.state is ChildState.RUNNING) == POLICY.crash_limit


async def test_a_program_that_does_not_exist_is_given_up_not_raised(supervisor: Supervisor, changes: Changes):
    await supervisor.add(ChildSpec("nothing", ("/no/such/program",), env={}))
    status = await changes.until(lambda s: s.state is ChildState.GIVEN_UP)
    assert status.last_exit == 127


async def test_a_process_may_drain_before_it_ends(supervisor: Supervisor, tmp_path: Path):
    status = await supervisor.add(spec("obedient", OBEDIENT + SLEEP))
    await until_up(status.log)
    await supervisor.stop()
    assert "drained" in lines_of(status.log)
    assert not psutil.pid_exists(status.pid)


async def test_a_process_that_does_not_drain_is_killed(tmp_path: Path):
    stubborn = Supervisor(tmp_path, POLICY, drain_s=0.2)
    ignoring = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)" + SLEEP
    status = await stubborn.add(spec("stubborn", ignoring))
    await until_up(status.log)
    await stubborn.stop()
    assert not psutil.pid_exists(status.pid)


async def test_higher_stages_are_drained_first(supervisor: Supervisor, changes: Changes):
    for name, stage in (("bus", 0), ("worker", 3), ("door", 2)):
        status = await supervisor.add(spec(name, OBEDIENT + SLEEP, stage))
        await until_up(status.log)
    await supervisor.stop()
    assert [s.name for s in changes.seen if s.state is ChildState.STOPPED] == ["worker", "door", "bus"]


async def test_what_a_dead_process_left_in_its_group_is_killed_too(supervisor: Supervisor, changes: Changes):
    parent = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'input()']).pid, flush=True)" + SLEEP
    )
    status = await supervisor.add(spec("parent", "import time; " + parent))
    await until_up(status.log)
    grandchild = int(next(line for line in lines_of(status.log) if line.isdigit()))
    os.kill(status.pid, signal.SIGKILL)
    await until_gone(grandchild)
    assert not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE


async def test_replacing_by_the_same_leaves_it_alone_and_by_another_starts_that(supervisor: Supervisor):
    first = await supervisor.add(spec("agent", "import time" + SLEEP))
    assert (await supervisor.replace(spec("agent", "import time" + SLEEP))).pid == first.pid
    assert (await supervisor.replace(spec("agent", "import time; time.time()" + SLEEP))).pid != first.pid
    assert not psutil.pid_exists(first.pid)


async def test_a_name_is_taken_once(supervisor: Supervisor):
    await supervisor.add(spec("agent", "import time" + SLEEP))
    with pytest.raises(ValueError, match="agent"):
        await supervisor.add(spec("agent", "import time" + SLEEP))


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux only")
async def test_nothing_outlives_a_supervisor_that_is_killed(tmp_path: Path):
    program = f"""
import asyncio, sys
from pathlib import Path
from gateway.supervision.child import ChildSpec
from gateway.supervision.restarts import RestartPolicy
from gateway.supervision.supervisor import Supervisor

async def main():
    supervisor = Supervisor(Path({str(tmp_path)!r}), RestartPolicy())
    status = await supervisor.add(ChildSpec("orphan", (sys.executable, "-c", "import time; time.sleep(600)"), env={{}}))
    print(status.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    killed = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE)
    assert killed.stdout is not None
    orphan = psutil.Process(int(await killed.stdout.readline()))
    killed.kill()
    await killed.wait()
    await until_gone(orphan.pid)
    assert not orphan.is_running()


def test_a_log_says_what_starts_and_stays_within_its_bound(tmp_path: Path):
    log = tmp_path / "logs" / "x.log"
    descriptor = open_log(log, "x: command")
    os.write(descriptor, b"first\n" * 100)
    assert roll(log, limit_bytes=100)
    os.write(descriptor, b"second\n")
    os.close(descriptor)
    assert tail(log) == "second"
    assert "x: command" in log.with_name("x.log.1").read_text()
    assert not roll(log, limit_bytes=100)

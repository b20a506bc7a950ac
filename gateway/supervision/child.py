"""One supervised process: how it is started, and how it is ended. Owned by the supervisor."""

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gateway.leash import leash
from gateway.supervision.logs import open_log


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What to run. ``stage`` orders the stop: higher stages are drained first. ``env`` is the whole environment.

    ``timer_slack_us``: as `leash` has it.
    """

    name: str
    argv: tuple[str, ...]
    stage: int = 0
    cwd: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    timer_slack_us: int = 0


class Child:
    """A running process in a process group of its own, so that Ctrl-C in the terminal reaches only the supervisor."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, spec: ChildSpec, log: Path) -> "Child":
        """Start it on a leash, writing to ``log``. Raises OSError when the program cannot be run.

        Forks in this very thread, which the leash depends on: call it on the main thread's event loop.
        """
        descriptor = open_log(log, f"{spec.name}: {' '.join(spec.argv)}")
        try:
            process = await asyncio.create_subprocess_exec(
                *spec.argv,
                cwd=spec.cwd,
                env=dict(spec.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
                preexec_fn=leash(spec.timer_slack_us),
            )
        finally:
            os.close(descriptor)
        return cls(process)

    @property
    def pid(self) -> int:
        """Its process id, which is also the id of its process group."""
        return self._process.pid

    async def exited(self) -> int:
        """Wait for its end; its exit status, negative for a signal. Whatever it left behind in its group is killed."""
        status = await self._process.wait()
        self.kill()
        return status

    async def stop(self, drain_s: float) -> bool:
        """SIGTERM, time to drain, then SIGKILL to its group. Whether it ended by itself."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(drain_s):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
            return False
        self.kill()
        return True

    def kill(self) -> None:
        """SIGKILL to its whole group, so that nothing which it started is left either."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

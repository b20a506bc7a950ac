"""Keeps a set of processes running: restarts what exits, gives up on crash loops, drains all of them in order.

Used by ``aos up``. Guarantees: one process for each name; after ``stop`` or the supervisor's own death, none is left.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from pathlib import Path

from gateway.supervision.child import Child, ChildSpec
from gateway.supervision.logs import roll
from gateway.supervision.restarts import GiveUp, Restart, RestartPolicy, after_exit

logger = logging.getLogger(__name__)

LOGS_LOOKED_AT_EVERY_S = 15.0


class ChildState(StrEnum):
    """Where a supervised process stands."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    GIVEN_UP = "given_up"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """One process as people see it. ``last_exit`` is its last exit status, negative for a signal."""

    name: str
    state: ChildState
    pid: int | None
    restarts: int
    last_exit: int | None
    log: Path


@dataclass(slots=True)
class _Kept:
    spec: ChildSpec
    log: Path
    crashes_at_s: deque[float]
    state: ChildState = ChildState.STARTING
    child: Child | None = None
    restarts: int = 0
    last_exit: int | None = None
    keeper: asyncio.Task[None] | None = None
    running: asyncio.Event = field(default_factory=asyncio.Event)


class Supervisor:
    """Looks after children. All calls from one event loop, on the main thread."""

    def __init__(
        self,
        logs_dir: Path,
        policy: RestartPolicy,
        *,
        drain_s: float = 20.0,
        log_limit_bytes: int = 16 * 1024 * 1024,
        on_change: Callable[[ChildStatus], None] | None = None,
    ) -> None:
        self._logs_dir = logs_dir
        self._policy = policy
        self._drain_s = drain_s
        self._log_limit_bytes = log_limit_bytes
        self._on_change = on_change
        self._kept: dict[str, _Kept] = {}
        self._log_keeper: asyncio.Task[None] | None = None

    async def add(self, spec: ChildSpec) -> ChildStatus:
        """Start a process and keep it running. ValueError when the name is taken."""
        if spec.name in self._kept:
            raise ValueError(f"a process named {spec.name} is already looked after")
        log = self._logs_dir / f"{spec.name}.log"
        kept = _Kept(spec, log, deque(maxlen=self._policy.crash_limit))
        self._kept[spec.name] = kept
        kept.keeper = asyncio.create_task(self._keep(kept), name=f"keep {spec.name}")
        if self._log_keeper is None:
            self._log_keeper = asyncio.create_task(self._keep_logs_small(), name="keep logs small")
        await kept.running.wait()
        return _status(kept)

    async def replace(self, spec: ChildSpec) -> ChildStatus:
        """Start it, stopping the process of that name first unless it is the very same."""
        present = self._kept.get(spec.name)
        if present is not None and present.spec == spec and present.state is not ChildState.GIVEN_UP:
            return _status(present)
        await self.remove(spec.name)
        return await self.add(spec)

    async def remove(self, name: str) -> None:
        """Drain and end that process; nothing happens when there is none of that name."""
        kept = self._kept.pop(name, None)
        if kept is not None:
            await self._end(kept)

    async def stop(self) -> None:
        """Drain and end all processes, stage by stage, the highest first. Safe to call twice."""
        if self._log_keeper is not None:
            self._log_keeper.cancel()
            self._log_keeper = None
        for stage in _stages(list(self._kept.values())):
            await asyncio.gather(*(self._end(kept) for kept in stage))
        self._kept.clear()

    def kill(self) -> None:
        """SIGKILL all of them now, for somebody who does not want to wait for ``stop`` to drain."""
        for kept in self._kept.values():
            if kept.child is not None:
                kept.child.kill()

    def status(self, name: str) -> ChildStatus:
        """How that process stands. KeyError when there is none."""
        return _status(self._kept[name])

    def statuses(self) -> tuple[ChildStatus, ...]:
        """How all processes stand, in the order in which they were added."""
        return tuple(_status(kept) for kept in self._kept.values())

    async def _keep(self, kept: _Kept) -> None:
        """Start, wait for the exit, decide: one process's whole life."""
        while True:
            kept.last_exit = await self._run_once(kept)
            kept.crashes_at_s.append(time.monotonic())
            decision = after_exit(self._policy, kept.crashes_at_s, time.monotonic())
            if isinstance(decision, GiveUp):
                self._change(kept, ChildState.GIVEN_UP)
                if self._on_change is None:
                    logger.error("%s crashed %d times in a row; see %s", kept.spec.name, decision.crashes, kept.log)
                return
            await self._wait_for_restart(kept, decision)

    async def _run_once(self, kept: _Kept) -> int:
        """From start to exit; a program that cannot be run at all counts as one that exited with 127, as in a shell."""
        try:
            kept.child = await Child.start(kept.spec, kept.log)
        except OSError as error:
            logger.error("%s cannot be started: %s", kept.spec.name, error)
            kept.running.set()
            return 127
        self._change(kept, ChildState.RUNNING)
        kept.running.set()
        status = await kept.child.exited()
        kept.child = None
        return status

    async def _wait_for_restart(self, kept: _Kept, decision: Restart) -> None:
        if self._on_change is None:  # said twice it would look like two crashes
            logger.warning("%s ended with %s; again in %.1f s", kept.spec.name, kept.last_exit, decision.delay_s)
        self._change(kept, ChildState.WAITING)
        await asyncio.sleep(decision.delay_s)
        kept.restarts += 1

    async def _end(self, kept: _Kept) -> None:
        if kept.keeper is not None:
            kept.keeper.cancel()
            with suppress(asyncio.CancelledError):
                await kept.keeper
        if kept.child is not None and not await kept.child.stop(self._drain_s):
            logger.warning("%s did not end within %.0f s and was killed", kept.spec.name, self._drain_s)
        kept.child = None
        self._change(kept, ChildState.STOPPED)

    def _change(self, kept: _Kept, state: ChildState) -> None:
        kept.state = state
        if self._on_change is not None:
            self._on_change(_status(kept))

    async def _keep_logs_small(self) -> None:
        while True:
            await asyncio.sleep(LOGS_LOOKED_AT_EVERY_S)
            for kept in list(self._kept.values()):
                await asyncio.to_thread(roll, kept.log, self._log_limit_bytes)


def _status(kept: _Kept) -> ChildStatus:
    pid = kept.child.pid if kept.child is not None else None
    return ChildStatus(kept.spec.name, kept.state, pid, kept.restarts, kept.last_exit, kept.log)


def _stages(kept: Sequence[_Kept]) -> list[list[_Kept]]:
    ordered = sorted(kept, key=lambda one: -one.spec.stage)
    return [list(group) for _, group in groupby(ordered, key=lambda one: one.spec.stage)]

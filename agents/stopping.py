"""The worker's wish to stop, heeded wherever a task can go on at another worker. Wished by ``worker``.

A step under way is finished, for its effect may be done already; nothing new is begun. What is given back so resumes at
its last finished step, so a worker ends about as soon as the steps that it had asked for.
"""

import asyncio
from collections.abc import Callable

from agents.errors import WorkerStops
from agents.ports.planning import Planned, Planner
from schemas.task import TaskSubmitted
from tensor_layer.ports import Perceived


class Stopping:
    """One for each worker. Before ``wish`` nothing here waits or raises."""

    def __init__(self) -> None:
        self._wished = asyncio.Event()
        self._wakers: list[Callable[[], None]] = []

    @property
    def wished(self) -> bool:
        """Whether the worker wants to stop."""
        return self._wished.is_set()

    def wish(self) -> None:
        """From now on nothing new is begun; those that wait for their turn are woken."""
        self._wished.set()
        for wake in self._wakers:
            wake()

    def heed(self) -> None:
        """Raises WorkerStops once the worker wants to stop."""
        if self._wished.is_set():
            raise WorkerStops("the worker stops; another one goes on")

    async def sleep(self, seconds: float) -> None:
        """Sleep as asyncio does. Raises WorkerStops as soon as the worker wants to stop."""
        try:
            await asyncio.wait_for(self._wished.wait(), seconds)
        except TimeoutError:
            return
        self.heed()

    def wake(self, waker: Callable[[], None]) -> None:
        """Have ``waker`` called at the wish."""
        self._wakers.append(waker)


class HeedfulPlanner:
    """Implements ``ports.Planner`` by another one, for tasks that are perceived before the worker wants to stop."""

    def __init__(self, planner: Planner, stopping: Stopping) -> None:
        self._planner = planner
        self._stopping = stopping

    async def plan(self, task: TaskSubmitted, perceived: Perceived) -> Planned:
        """As the planner behind it. Raises WorkerStops, too."""
        self._stopping.heed()
        return await self._planner.plan(task, perceived)

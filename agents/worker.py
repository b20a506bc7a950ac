"""One agents worker: the lanes of the work queue, the live fleet and the services, started and drained together.

Called by the composition root. Any number of workers share the work; none of them is a leader.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from agents.background_tasks import ended
from agents.journey.controls import Controls
from agents.journey.lanes import Lane
from agents.stopping import Stopping

logger = logging.getLogger(__name__)


class Service(Protocol):
    """Anything that runs beside the lanes for the worker's whole life."""

    async def start(self) -> None:
        """Begin; returns when ready."""
        ...

    async def stop(self) -> None:
        """End; nothing may be called afterwards."""
        ...


class Worker:
    """Pulls tasks until told to stop, then drains."""

    def __init__(
        self,
        lanes: Sequence[Lane],
        controls: Controls,
        services: Sequence[Service],
        stopping: Stopping,
        drain_s: float,
    ) -> None:
        self._stopping = stopping
        self._lanes = lanes
        self._controls = controls
        self._services = services
        self._drain_s = drain_s

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then end the steps under way and give the rest back."""
        starting = asyncio.create_task(self._start())
        pulling: list[asyncio.Task[None]] = []
        try:
            await _first_of(stop, [starting])
            if not stop.is_set():
                pulling = [asyncio.create_task(lane.run()) for lane in self._lanes]
                logger.info("the worker takes tasks")
                await _first_of(stop, pulling)
        finally:
            await ended(starting)
            await self._drain(pulling)

    async def _start(self) -> None:
        """A worker that took tasks before it knows the agents would end them as if there were none."""
        await self._controls.start()
        for service in self._services:
            await service.start()

    async def _drain(self, pulling: Sequence[asyncio.Task[None]]) -> None:
        for lane in self._lanes:
            lane.stop()
        self._stopping.wish()
        in_flight = sum(lane.in_flight for lane in self._lanes)
        logger.info("the worker drains %d tasks", in_flight)
        await asyncio.gather(*(lane.drain(self._drain_s) for lane in self._lanes))
        await asyncio.gather(*pulling, return_exceptions=True)
        await self._controls.stop()
        for service in reversed(self._services):
            await service.stop()


async def _first_of(stop: asyncio.Event, doing: Sequence[asyncio.Task[None]]) -> None:
    """Wait for the wish to stop, or for the first that ends by itself, raising its error."""
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait({stopping, *doing}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    for task in doing:
        if task in done:
            task.result()

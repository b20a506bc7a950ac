"""A worker that is told to stop while it starts ends, whatever became of the word."""

import asyncio

import pytest

from agents.stopping import Stopping
from agents.worker import Worker


class Silent:
    """Controls that hear nothing."""

    async def start(self) -> None:
        return None

    async def stop(self) -> None:
        return None


class HardOfHearing:
    """A service that waits for something that never comes, and whose library loses the first cancellation."""

    def __init__(self) -> None:
        self.starting = asyncio.Event()
        self.stopped = False

    async def start(self) -> None:
        self.starting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()

    async def stop(self) -> None:
        self.stopped = True


@pytest.mark.timeout(60)
async def test_a_service_that_misses_the_first_cancellation_does_not_hold_up_the_end() -> None:
    service, stop = HardOfHearing(), asyncio.Event()
    running = asyncio.create_task(Worker([], Silent(), [service], Stopping(), drain_s=1.0).run(stop))
    await service.starting.wait()
    stop.set()
    await running
    assert service.stopped

"""A service of the evolution role that fails is started again and takes nothing else with it."""

import asyncio

from gateway.roles.evolution import kept_going


async def test_a_service_that_fails_is_started_again_until_it_ends():
    tries: list[int] = []

    async def service() -> None:
        tries.append(len(tries))
        if len(tries) < 3:
            raise RuntimeError("a damaged file")

    await kept_going("mining", service, asyncio.Event(), retry_s=0.001)
    assert tries == [0, 1, 2]


async def test_a_stop_ends_the_wait_for_the_next_try():
    stop, failed = asyncio.Event(), asyncio.Event()

    async def service() -> None:
        failed.set()
        raise RuntimeError("a damaged file")

    keeping = asyncio.create_task(kept_going("mining", service, stop, retry_s=3600))
    await failed.wait()
    stop.set()
    async with asyncio.timeout(20):
        await keeping

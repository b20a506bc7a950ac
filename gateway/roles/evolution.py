"""The evolution role: records what happened, so that routing can learn from it, and betters networks on request."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from evolution.wiring import build_store, claim_store, run_recorder
from gateway.bus.identity import identity_of
from gateway.experience_origin import note_bus, place_of
from gateway.experience_store import store_settings
from gateway.foundation import open_bus
from gateway.roles.yielding import give_way
from gateway.settings import Settings

logger = logging.getLogger(__name__)

RETRY_S = 30.0


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Record until ``stop`` is set; the batch in hand is finished. Raises as `open_bus`, and RecordedElsewhere."""
    from agents.evolving.live.service import RefinementService
    from gateway.auditions.desk import audition_newcomers
    from gateway.experience_desk import compact_on_schedule
    from gateway.learning.desk import learn_policies
    from gateway.mining_desk import mine_on_schedule
    from gateway.policy_desk import look_after_policies  # here: `aos experience` need not load rankers

    # What is recorded waits in a durable stream meanwhile. Loading is done: who starts again should soon be there.
    give_way(settings.learning.niceness)
    async with open_bus(settings, "aos-evolution", stop=stop) as bus:
        place = place_of(settings)
        if place is not None:  # who records into another store than the rest must not publish what it learns either
            await claim_store(bus.js, place)
        store = build_store(store_settings(settings))
        note_bus(settings, await identity_of(bus.js))
        refiner = RefinementService(bus.nc)
        await refiner.start()
        try:
            await asyncio.gather(
                run_recorder(bus.nc, store, stop, place),
                kept_going("policies", lambda: look_after_policies(bus.js, store, stop, settings), stop),
                kept_going("mining", lambda: mine_on_schedule(settings, stop), stop),
                kept_going("compaction", lambda: compact_on_schedule(settings, stop), stop),
                kept_going("learning", lambda: learn_policies(settings, bus, store, stop), stop),
                kept_going("auditions", lambda: audition_newcomers(settings, bus, store, stop), stop),
            )
        finally:
            await refiner.stop()
            await store.close()


async def kept_going(
    what: str, service: Callable[[], Awaitable[object]], stop: asyncio.Event, retry_s: float = RETRY_S
) -> None:
    """Run a service until it ends by itself. One that fails is started again: recording must not end with it."""
    while not stop.is_set():
        try:
            await service()
            return
        except Exception:
            logger.exception("%s failed; it is started again in %.0f s", what, retry_s)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), retry_s)

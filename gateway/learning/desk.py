"""Puts learning together for the evolution role, as the settings say."""

import asyncio

from evolution.policies.bucket import PolicyBucket
from evolution.ports import ExperienceStore
from gateway.foundation import Bus, open_blobs
from gateway.learning.publishing import Publisher
from gateway.learning.school import School
from gateway.learning.terms import Terms
from gateway.settings import Settings


async def learn_policies(settings: Settings, bus: Bus, store: ExperienceStore, stop: asyncio.Event) -> None:
    """Learn until ``stop`` is set; nothing where learning is switched off."""
    learning = settings.learning
    if not learning.enabled:
        return
    terms = Terms(learning.every_outcomes, learning.every_s, learning.least_outcomes, learning.least_s)
    publisher = Publisher(PolicyBucket(bus.js), open_blobs(settings), learning.review_beyond)
    await School(bus.nc, store, publisher, terms, room_bytes=learning.memory_mib * 1_024 * 1_024).run(stop)

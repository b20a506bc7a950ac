"""Puts the policies of this deployment together. Called by `aos policy`, `aos experiment`, and the evolution role."""

import asyncio

from nats.js import JetStreamContext

from evolution.policies.bucket import PolicyBucket
from evolution.policies.loop import PolicyLoop
from evolution.policies.registry import PolicyRegistry
from evolution.ports import ExperienceStore
from gateway.replay.choices import choices


def registry_over(js: JetStreamContext, store: ExperienceStore) -> PolicyRegistry:
    """The registry over this bus and this store, with the workers' own rankers."""
    return PolicyRegistry(PolicyBucket(js), store, choices)


async def look_after_policies(js: JetStreamContext, store: ExperienceStore, stop: asyncio.Event) -> None:
    """Experiments decide themselves and a policy that lost goes back to the prior, until ``stop`` is set."""
    await PolicyLoop(registry_over(js, store), store).run(stop)

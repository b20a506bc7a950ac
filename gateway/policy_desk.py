"""Puts the policies of this deployment together. Called by `aos policy`, `aos experiment`, and the evolution role."""

import asyncio

from nats.js import JetStreamContext

from evolution.policies.bucket import PolicyBucket
from evolution.policies.loop import PolicyLoop
from evolution.policies.registry import PolicyRegistry
from evolution.ports import ExperienceStore
from gateway.replay.choices import WorkerChoices
from gateway.roles.foundation import open_blobs
from gateway.settings import Settings


def registry_over(js: JetStreamContext, store: ExperienceStore, settings: Settings | None = None) -> PolicyRegistry:
    """The registry over this bus and this store, with the workers' own rankers.

    Without ``settings`` no object store is at hand: versions that keep parts there cannot be compared.
    """
    return PolicyRegistry(PolicyBucket(js), store, WorkerChoices(open_blobs(settings) if settings else None))


async def look_after_policies(
    js: JetStreamContext, store: ExperienceStore, stop: asyncio.Event, settings: Settings | None = None
) -> None:
    """Experiments decide themselves and a policy that lost goes back to the prior, until ``stop`` is set."""
    await PolicyLoop(registry_over(js, store, settings), store).run(stop)

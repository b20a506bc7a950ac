"""Puts the policies of this deployment together. Called by `aos policy`, `aos experiment`, and the evolution role."""

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta

from nats.js import JetStreamContext

from evolution.errors import EvolutionError
from evolution.policies.bucket import PolicyBucket
from evolution.policies.loop import LoopTimes, PolicyLoop
from evolution.policies.parts import StoredParts
from evolution.policies.pruning import Keeping, Pruned, prune
from evolution.policies.registry import PolicyRegistry
from evolution.policies.trial_memory import TrialFolder, TrialMemory
from evolution.ports import ExperienceStore
from gateway.foundation import object_store, open_blobs
from gateway.replay.choices import WorkerChoices
from gateway.settings import Settings

logger = logging.getLogger(__name__)

PRUNE_EVERY_S = 600.0


def registry_over(js: JetStreamContext, store: ExperienceStore, settings: Settings | None = None) -> PolicyRegistry:
    """The registry over this bus and this store, with the workers' own rankers.

    Without ``settings`` no object store is at hand: versions that keep parts there cannot be compared.
    """
    return PolicyRegistry(PolicyBucket(js), store, WorkerChoices(open_blobs(settings) if settings else None))


async def look_after_policies(
    js: JetStreamContext, store: ExperienceStore, stop: asyncio.Event, settings: Settings
) -> None:
    """Experiments decide themselves, a policy that lost goes back to the prior, old ones make room; until ``stop``."""
    loop = PolicyLoop(
        registry_over(js, store, settings), store, times=times_of(settings), memory=trial_memory(settings)
    )
    await asyncio.gather(loop.run(stop), prune_on_schedule(js, settings, stop))


def times_of(settings: Settings) -> LoopTimes:
    """How often experiments, and the policy in force, are looked at."""
    learning = settings.learning
    return LoopTimes(learning.experiments_every_s, timedelta(seconds=learning.prior_every_s))


def trial_memory(settings: Settings) -> TrialMemory:
    """Where looks at experiments remember what they counted, beside the experience that they count."""
    return TrialFolder(settings.data_dir / "experience" / "trials")


def keeping_of(settings: Settings) -> Keeping:
    """How much is kept of old versions."""
    return Keeping(settings.learning.keep_versions, timedelta(days=settings.learning.keep_promoted_days))


async def prune_policies(
    js: JetStreamContext, settings: Settings, tenant: str, keeping: Keeping, *, dry_run: bool = False
) -> Pruned:
    """Take out a tenant's old versions. Raises PolicyBucketUnavailable, PolicyPartsUnavailable."""
    return await prune(PolicyBucket(js), StoredParts(*object_store(settings)), tenant, keeping, dry_run=dry_run)


async def prune_on_schedule(
    js: JetStreamContext, settings: Settings, stop: asyncio.Event, every_s: float = PRUNE_EVERY_S
) -> None:
    """Take out every tenant's old versions now and again, until ``stop`` is set."""
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), every_s)
        if stop.is_set():
            return
        try:
            for tenant in sorted({tenant for tenant, _ in await PolicyBucket(js).everything()}):
                await prune_policies(js, settings, tenant, keeping_of(settings))
        except EvolutionError as error:
            logger.warning("old policies stay for now: %s", error)

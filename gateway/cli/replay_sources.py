"""What the replay commands read: the experience store, and policies by their names. Every failure becomes Failed."""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from evolution.ports import ExperienceStore
from gateway.cli.experience_source import stored
from gateway.cli.policy_source import bus_of
from gateway.settings import Settings

if TYPE_CHECKING:
    from evolution.replay.decision_log import Policy


@asynccontextmanager
async def policies_and_store(
    settings: Settings, names: Sequence[str], since: datetime
) -> AsyncIterator["tuple[dict[str, Policy], ExperienceStore]"]:
    """How the named policies choose, and the store. The bus is asked only when a version is named.

    Says on standard error which of them learned from experience after ``since``.
    """
    from gateway.policy_desk import registry_over  # lazy: rankers bring scipy
    from gateway.replay.comparands import named, needs_registry, seen_before

    async with stored(settings) as store:
        if needs_registry(names):
            async with bus_of(settings) as nc:
                registry = registry_over(nc.jetstream(timeout=10), store, settings)
                policies = await named(registry, settings.tenant, names)
                for warning in await seen_before(registry, settings.tenant, names, since):
                    sys.stderr.write(f"! {warning}\n")
        else:
            policies = await named(None, settings.tenant, names)
        yield policies, store

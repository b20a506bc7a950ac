"""What the replay commands read: the experience store, and policies by their names. Every failure becomes Failed."""

import sys
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from evolution.ports import ExperienceStore
from gateway.cli.bus.connection import BUS_TIMEOUT_S, bus_of
from gateway.cli.experience.source import stored
from gateway.cli.experience.whose import NEXT_STEP, doubt
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.windows import Span
from gateway.settings import Settings

if TYPE_CHECKING:
    from nats.aio.client import Client

    from evolution.replay.decision_log import Policy


@asynccontextmanager
async def policies_and_store(
    settings: Settings, names: Sequence[str], asked: Span, *, dispensable: Collection[str] = ()
) -> AsyncIterator["tuple[dict[str, Policy], ExperienceStore]"]:
    """How the named policies choose, and the store. The bus is asked only when a version is named.

    Says on standard error which of them learned from experience of the time that is asked for. Without a bus the
    ``dispensable`` names are left out, and that is said there too.
    """
    from gateway.policy_desk import registry_over  # lazy: rankers bring scipy
    from gateway.replay.comparands import named, needs_registry, seen_before

    async with stored(settings) as store:
        policies = None
        if needs_registry(names):
            try:
                async with bus_of(settings) as nc:
                    await warn_of_another_bus(settings, nc)
                    registry = registry_over(nc.jetstream(timeout=10), store, settings)
                    policies = await named(registry, settings.tenant, names)
                    for warning in await seen_before(registry, settings.tenant, names, asked.since, asked.until):
                        sys.stderr.write(f"! {warning}\n")
            except Failed as failure:
                if failure.code != "bus_unavailable" or needs_registry(set(names) - set(dispensable)):
                    raise
                sys.stderr.write(f"! without {' and '.join(dispensable)}: {failure}\n")
        if policies is None:
            policies = await named(None, settings.tenant, names)
        yield policies, store


async def warn_of_another_bus(settings: Settings, nc: "Client") -> None:
    """Says on standard error when the experience was recorded from another bus than the one that is asked."""
    found = await doubt(settings, nc.jetstream(timeout=BUS_TIMEOUT_S))
    if found is not None and found.other:
        sys.stderr.write(f"! {found.says}; {NEXT_STEP}\n")


def check_fixed_agents(names: Sequence[str], candidates: Collection[str]) -> None:
    """Raises Failed for ``always:AGENT`` of an agent that could do none of the tasks, for it would change nothing."""
    from gateway.replay.comparands import ALWAYS  # lazy, as above

    for name in names:
        agent = name.removeprefix(ALWAYS)
        if agent != name and agent not in candidates:
            known = ", ".join(sorted(candidates)) or "nobody"
            raise Failed(
                f"agent {agent!r} was no candidate for any task of this window",
                exit_code=ExitCode.NOT_FOUND,
                detail=f"candidates were: {known}",
            )

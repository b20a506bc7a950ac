"""The registry of policies for one command, and who calls it; every failure becomes Failed."""

import getpass
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from evolution.errors import EvolutionError, PoliciesFrozen, ReviewNeeded
from evolution.policies.changes import Who
from evolution.policies.telling import freezing
from evolution.ports import ExperienceStore
from evolution.wiring import build_store
from gateway.cli.bus.connection import BUS_TIMEOUT_S, bus_of
from gateway.cli.policy.views import frozen_by
from gateway.cli.terminal.evolution_failure import failed
from gateway.cli.terminal.failure import Failed
from gateway.experience_store import store_settings
from gateway.settings import Settings

if TYPE_CHECKING:
    from nats.js import JetStreamContext

    from evolution.policies.registry import PolicyRegistry


@asynccontextmanager
async def opened(
    settings: Settings, *, changes: bool = False, guards: bool = False
) -> "AsyncIterator[tuple[PolicyRegistry, ExperienceStore]]":
    """The registry over the bus, and the experience store. Every EvolutionError becomes a Failed with a next step.

    ``changes`` as in ``bus_of``. With ``guards`` the command measures on that experience: another bus's is warned of,
    and refused where a change follows from it.
    """
    from gateway.policy_desk import registry_over  # lazy: rankers bring scipy, 0.3 s that --help need not pay

    store = build_store(store_settings(settings, read_only=True))
    try:
        async with bus_of(settings, changes=changes) as nc:
            js = nc.jetstream(timeout=BUS_TIMEOUT_S)
            doubts = await _doubted(settings, js, changes=changes) if guards else ""
            registry = registry_over(js, store, settings)
            try:
                yield registry, store
            except ReviewNeeded as error:
                raise failed(error, doubts) from error
            except PoliciesFrozen as error:
                froze = freezing(await registry.bucket.changes(settings.tenant))
                raise failed(error, frozen_by(froze) if froze else "") from error
    except EvolutionError as error:
        raise failed(error) from error
    finally:
        await store.close()


async def _doubted(settings: Settings, js: "JetStreamContext", *, changes: bool) -> str:
    """What speaks against the experience that guards are to measure on, in words; empty when nothing does."""
    from gateway.cli.experience.whose import NEXT_STEP, doubt

    found = await doubt(settings, js)
    if found is None:
        return ""
    if found.other and changes:
        detail = "nothing was changed"
        raise Failed(found.says, code="another_experience", detail=detail, next_step=f"{NEXT_STEP}; or add --reviewed")
    if not changes:
        sys.stderr.write(f"! {found.says}; {NEXT_STEP}\n")
    return f"{found.says}; {NEXT_STEP}"


def who(reason: str) -> Who:
    """The person at this terminal."""
    try:
        return Who(getpass.getuser(), reason)
    except (KeyError, OSError):  # a container without a user database
        return Who("somebody at the command line", reason)

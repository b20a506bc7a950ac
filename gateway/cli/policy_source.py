"""The bus and the registry of policies for one command; every failure becomes Failed. Used by policy and replay."""

import getpass
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from evolution.errors import (
    EvolutionError,
    NoExperiment,
    PoliciesFrozen,
    PolicyBucketUnavailable,
    PolicyNotFound,
    ReviewNeeded,
)
from evolution.policies.changes import Who
from evolution.policies.telling import freezing
from evolution.ports import ExperienceStore
from evolution.wiring import build_store
from gateway.cli.policy_views import frozen_by
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.experience_store import store_settings
from gateway.settings import Settings

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext

    from evolution.policies.registry import PolicyRegistry

BUS_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
NEXT_STEPS: dict[type[EvolutionError], str] = {
    NoExperiment: "aos experiment start POLICY",
    PoliciesFrozen: "aos policy unfreeze",
}


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
    from gateway.cli.whose_experience import NEXT_STEP, doubt

    found = await doubt(settings, js)
    if found is None:
        return ""
    if found.other and changes:
        detail = "nothing was changed"
        raise Failed(found.says, code="another_experience", detail=detail, next_step=f"{NEXT_STEP}; or add --reviewed")
    if not changes:
        sys.stderr.write(f"! {found.says}; {NEXT_STEP}\n")
    return f"{found.says}; {NEXT_STEP}"


@asynccontextmanager
async def bus_of(settings: Settings, *, changes: bool = False) -> AsyncIterator["Client"]:
    """One connection for one command; streams and buckets are the roles' to create, not the command line's.

    With ``changes`` it is refused when the gateway that is set runs on another bus, and the bus is said at the end.
    """
    from nats.errors import Error  # lazy, as above

    from gateway.cli.bus_reach import reached
    from gateway.cli.which_bus import compare, say_changed, without_password

    try:
        nc = await reached(settings, "aos-cli", CONNECT_TIMEOUT_S)
    except (Error, OSError) as error:
        raise Failed(
            f"no bus answers at {without_password(settings.nats_url)}: {_why(error)}",
            exit_code=ExitCode.UNREACHABLE,
            code="bus_unavailable",
            next_step="start one with `aos up`, or set AOS_NATS_URL to the one that runs: AOS_URL is only the gateway",
        ) from error
    try:
        await compare(settings, nc.jetstream(timeout=BUS_TIMEOUT_S), changes=changes)
        yield nc
        if changes:
            say_changed(settings)
    finally:
        await nc.close()


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):  # nats-py asks again and again where nobody listens
        return f"tried for {CONNECT_TIMEOUT_S:g} s"
    return str(error) or type(error).__name__


def failed(error: EvolutionError, detail: str = "") -> Failed:
    """The error in the command line's words."""
    if isinstance(error, ReviewNeeded):
        return Failed(
            "the guards ask for a person's review",
            code=error.code,
            detail="\n  ".join([*error.problems, *([detail] if detail else [])]),
            next_step="look at it (aos policy diff, aos policy review), then promote with --reviewed --reason …",
        )
    exit_code: dict[type[EvolutionError], ExitCode] = {
        NoExperiment: ExitCode.NOT_FOUND,
        PolicyNotFound: ExitCode.NOT_FOUND,
        PolicyBucketUnavailable: ExitCode.UNREACHABLE,
    }
    return Failed(
        str(error),
        exit_code=exit_code.get(type(error), ExitCode.FAILED),
        code=error.code,
        detail=detail,
        next_step=NEXT_STEPS.get(type(error), ""),
    )


def who(reason: str) -> Who:
    """The person at this terminal."""
    try:
        return Who(getpass.getuser(), reason)
    except (KeyError, OSError):  # a container without a user database
        return Who("somebody at the command line", reason)

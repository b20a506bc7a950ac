"""``aos policy``: which learned policy routes, what it learned from, and changing it. Talks straight to the bus."""

import asyncio
import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolution.errors import EvolutionError, PolicyBucketUnavailable, PolicyNotFound, ReviewNeeded
from evolution.policies.bucket import BUILT_IN
from evolution.policies.changes import Who
from evolution.ports import ExperienceStore
from evolution.wiring import build_store
from gateway.cli import session
from gateway.cli.failure import ExitCode, Failed
from gateway.cli.session import Json, Tenant
from gateway.roles.evolution import store_settings
from gateway.settings import Settings
from schemas.policy import PolicySnapshot
from schemas.policy_state import PolicyState

if TYPE_CHECKING:
    from nats.aio.client import Client

    from evolution.policies.registry import Listed, PolicyRegistry

BUS_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0

app = typer.Typer(help="Which learned policy routes, what it learned from, and changing it.")

Name = Annotated[str, typer.Argument(help=f"Policy, as `aos policy list` shows it; {BUILT_IN} is the built-in one.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the change.")]


@app.command("list")
def list_policies(as_json: Json = False, tenant: Tenant = None) -> None:
    """Every version, with what it learned from and what it is just now."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> "tuple[PolicyState, tuple[Listed, ...]]":
        async with opened(settings) as (registry, _):
            return await registry.state(settings.tenant), await registry.listed(settings.tenant)

    state, found = session.run(work())
    if as_json:
        session.print_json({"state": state.model_dump(mode="json"), "policies": [_listed_json(item) for item in found]})
        return
    rows = [_row(item) for item in found]
    session.print_table(("policy", "is", "parent", "made", "records", "metrics"), rows, "no policies")
    if state.frozen:
        session.print_line(f"\nfrozen by {state.actor}: {state.reason or 'no reason given'}")


@app.command()
def show(
    policy: Name,
    out: Annotated[Path | None, typer.Option("--out", help="Write its file there instead.", dir_okay=False)] = None,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """One version: weights, lineage, what became of each agent. With --out, its file for `aos policy put`."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> tuple[PolicySnapshot, bytes]:
        async with opened(settings) as (registry, _):
            bucket = registry.bucket
            snapshot = await bucket.version(settings.tenant, policy)
            return snapshot, await bucket.content(settings.tenant, policy)

    snapshot, content = session.run(work())
    if out is not None:
        out.write_bytes(content)
        session.print_line(f"{policy} in {out} ({len(content)} bytes)")
    elif as_json:
        session.print_json(snapshot.model_dump(mode="json"))
    else:
        _show(snapshot)


@app.command()
def put(
    file: Annotated[Path, typer.Argument(help="Policy file of `aos policy show --out`.", exists=True, dir_okay=False)],
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Store a policy file as a version; it routes nothing before it is promoted. Edited files are refused."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> PolicySnapshot:
        async with opened(settings) as (registry, _):
            return await registry.bucket.put(settings.tenant, file.read_bytes())

    snapshot = session.run(work())
    _say({"policy": snapshot.policy}, f"{snapshot.policy} is stored; put it in force: aos policy promote", as_json)


@app.command()
def diff(before: Name, after: Name, as_json: Json = False, tenant: Tenant = None) -> None:
    """What the second policy says and does differently from the first."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> Any:  # noqa: ANN401 - a PolicyDiff; its module is loaded with the registry
        async with opened(settings) as (registry, _):
            return await registry.diff(settings.tenant, before, after)

    found = session.run(work())
    if as_json:
        session.print_json({name: getattr(found, name) for name in found.__slots__})
        return
    rows = [("weight", name, *_numbers(pair)) for name, pair in found.weights.items()]
    rows += [("success of", name, *_numbers(pair)) for name, pair in found.standings.items()]
    rows += [("artefact", name, *(str(one)[:19] for one in pair)) for name, pair in found.artefacts.items()]
    session.print_table(("what", "name", before, after), rows, "they say the same")
    if found.encoders:
        session.print_line(f"\nthey are for different encoders: {found.encoders[0]} and {found.encoders[1]}")
    if found.changed_choices is not None:
        session.print_line(f"\n{found.changed_choices:.1%} of the last 7 days' choices would be other ones")


@app.command()
def promote(
    policy: Name,
    reviewed: Annotated[
        bool, typer.Option("--reviewed", help="You looked at what the guards found and want it all the same.")
    ] = False,
    reason: Reason = "",
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Put a policy in force, unless a guard asks for a person's review: then look, and add --reviewed."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> PolicyState:
        async with opened(settings) as (registry, _):
            return await registry.promote(settings.tenant, policy, who(reason), reviewed=reviewed)

    state = session.run(work())
    _say(state.model_dump(mode="json"), f"{state.active or BUILT_IN} is in force", as_json)


@app.command()
def review(policy: Name, as_json: Json = False, tenant: Tenant = None) -> None:
    """What the guards say to a promotion, without doing it."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> Any:  # noqa: ANN401 - as above
        async with opened(settings) as (registry, _):
            return await registry.review(settings.tenant, policy)

    found = session.run(work())
    if as_json:
        findings = [{name: getattr(one, name) for name in one.__slots__} for one in found.findings]
        session.print_json({"policy": policy, "instead_of": found.instead_of, "findings": findings})
        return
    rows = [("ok" if one.ok else "LOOK", one.guard, one.says) for one in found.findings]
    session.print_table(("", "guard", f"{policy} instead of {found.instead_of}"), rows, "nothing to say")


@app.command()
def rollback(reason: Reason = "", as_json: Json = False, tenant: Tenant = None) -> None:
    """Back to the policy before this one, and end any experiment."""
    _change("rollback", tenant, as_json, lambda registry, t: registry.rollback(t, who(reason)))


@app.command()
def freeze(reason: Reason = "", as_json: Json = False, tenant: Tenant = None) -> None:
    """Forbid promotions and experiments, by people and by the loop, until unfrozen. Rolling back stays possible."""
    _change("frozen", tenant, as_json, lambda registry, t: registry.freeze(t, who(reason)))


@app.command()
def unfreeze(reason: Reason = "", as_json: Json = False, tenant: Tenant = None) -> None:
    """Allow promotions again."""
    _change("not frozen", tenant, as_json, lambda registry, t: registry.freeze(t, who(reason), frozen=False))


@app.command()
def refer(policy: Name, reason: Reason = "", as_json: Json = False, tenant: Tenant = None) -> None:
    """Make that policy the frozen reference, which every promotion is measured beside."""
    _change(f"reference {policy}", tenant, as_json, lambda registry, t: registry.refer(t, policy, who(reason)))


@app.command()
def explore(
    share: Annotated[float, typer.Argument(help="Most of the tasks that may explore, 0.01 to 1.", min=0.0, max=1.0)],
    reason: Reason = "",
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """How much of the traffic may try another than the best agent."""
    _change(f"exploring {share:.0%}", tenant, as_json, lambda registry, t: registry.explore(t, share, who(reason)))


@app.command()
def history(as_json: Json = False, tenant: Tenant = None) -> None:
    """Who changed what, and why; the newest last."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> tuple[PolicyState, ...]:
        async with opened(settings) as (registry, _):
            return await registry.bucket.changes(settings.tenant)

    found = session.run(work())
    if as_json:
        session.print_json([state.model_dump(mode="json") for state in found])
        return
    rows = [
        (
            f"{state.changed_at:%Y-%m-%d %H:%M:%S}",
            state.actor,
            state.active or BUILT_IN,
            f"{state.experiment.name} {state.experiment.share:.0%}" if state.experiment else "",
            "frozen" if state.frozen else "",
            state.reason,
        )
        for state in found
    ]
    session.print_table(("at", "by", "active", "experiment", "", "why"), rows, "nothing was ever changed")


@asynccontextmanager
async def opened(settings: Settings) -> "AsyncIterator[tuple[PolicyRegistry, ExperienceStore]]":
    """The registry over the bus, and the experience store. Every EvolutionError becomes a Failed with a next step."""
    from gateway.policy_desk import registry_over  # lazy: rankers bring scipy, 0.3 s that --help need not pay

    store = build_store(store_settings(settings, read_only=True))
    try:
        async with bus_of(settings) as nc:
            yield registry_over(nc.jetstream(timeout=BUS_TIMEOUT_S), store, settings), store
    except EvolutionError as error:
        raise failed(error) from error
    finally:
        await store.close()


@asynccontextmanager
async def bus_of(settings: Settings) -> AsyncIterator["Client"]:
    """One connection for one command; streams and buckets are the roles' to create, not the command line's."""
    import nats  # lazy, as above
    from nats.errors import Error

    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):  # nats-py's own limits let it try for two minutes
            nc = await nats.connect(
                settings.nats_url.split(","),
                name="aos-cli",
                user_credentials=settings.nats_credentials,
                reconnect_time_wait=0.2,
                error_cb=_silent,
            )
    except (Error, OSError) as error:
        raise Failed(
            f"no bus answers at {settings.nats_url}: {error or type(error).__name__}",
            exit_code=ExitCode.UNREACHABLE,
            code="bus_unavailable",
            next_step="start one with `aos up`, or set AOS_NATS_URL",
        ) from error
    try:
        yield nc
    finally:
        await nc.close()


async def _silent(error: Exception) -> None:
    """The error is raised as well; said twice it would only confuse."""


def failed(error: EvolutionError) -> Failed:
    """The error in the command line's words."""
    if isinstance(error, ReviewNeeded):
        return Failed(
            "the guards ask for a person's review",
            code=error.code,
            detail="\n  ".join(error.problems),
            next_step="look at it (aos policy diff, aos policy review), then promote with --reviewed --reason …",
        )
    exit_code: dict[type[EvolutionError], ExitCode] = {
        PolicyNotFound: ExitCode.NOT_FOUND,
        PolicyBucketUnavailable: ExitCode.UNREACHABLE,
    }
    return Failed(str(error), exit_code=exit_code.get(type(error), ExitCode.FAILED), code=error.code)


def who(reason: str) -> Who:
    """The person at this terminal."""
    try:
        return Who(getpass.getuser(), reason)
    except (KeyError, OSError):  # a container without a user database
        return Who("somebody at the command line", reason)


def _change(done: str, tenant: str | None, as_json: bool, change: Any) -> None:  # noqa: ANN401 - a coroutine function
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> PolicyState:
        async with opened(settings) as (registry, _):
            state: PolicyState = await change(registry, settings.tenant)
            return state

    state = session.run(work())
    _say(state.model_dump(mode="json"), f"{done}: {state.active or BUILT_IN} is in force", as_json)


def _say(value: dict[str, Any], words: str, as_json: bool) -> None:
    if as_json:
        session.print_json(value)
    else:
        session.print_line(words)


def _listed_json(item: "Listed") -> dict[str, Any]:
    snapshot = item.snapshot.model_dump(mode="json", exclude={"standings"}) if item.snapshot else None
    return {"policy": item.name, "roles": item.roles, "damaged": item.damaged, "snapshot": snapshot}


def _row(item: "Listed") -> tuple[object, ...]:
    if item.snapshot is None:
        note = "DAMAGED: " + item.damaged if item.damaged else "learned nothing: the nearest skill"
        return (item.name, ", ".join(item.roles), "", "", "", note)
    snapshot, lineage = item.snapshot, item.snapshot.lineage
    metrics = " ".join(f"{name} {value:.3g}" for name, value in (lineage.metrics if lineage else {}).items())
    records = lineage.records if lineage else snapshot.events
    return (item.name, ", ".join(item.roles), snapshot.parent, f"{snapshot.at:%Y-%m-%d %H:%M}", records, metrics)


def _show(snapshot: PolicySnapshot) -> None:
    lineage = snapshot.lineage
    session.print_line(f"{snapshot.policy}, made {snapshot.at:%Y-%m-%d %H:%M:%S} from {snapshot.events} outcomes")
    session.print_line(f"  parent   {snapshot.parent or 'none'}\n  encoder  {snapshot.encoder}")
    if lineage is not None:
        since, until = (f"{one:%Y-%m-%d %H:%M}" if one else "?" for one in (lineage.since, lineage.until))
        session.print_line(f"  window   {since} to {until}, {lineage.records} records; code {lineage.code or '?'}")
        for name, value in lineage.metrics.items():
            session.print_line(f"  metric   {name} {value:.4g}")
    session.print_table(("weight", "value"), [(n, f"{v:.4g}") for n, v in snapshot.weights.items()], "no weights")
    rows = [(agent, f"{one.successes:.0f}", f"{one.failures:.0f}") for agent, one in snapshot.standings.items()]
    session.print_table(("agent", "succeeded", "failed"), rows, "nothing known of any agent")
    for name, digest in snapshot.artefacts.items():
        session.print_line(f"  artefact {name}: {digest}")


def _numbers(pair: tuple[float | None, float | None]) -> tuple[str, str]:
    before, after = ("—" if value is None else f"{value:.4g}" for value in pair)
    return before, after

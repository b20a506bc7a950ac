"""``aos policy``: which learned policy routes, what it learned from, and changing it. Talks straight to the bus."""

from pathlib import Path
from typing import Annotated, Any

import typer

from evolution.policies.bucket import BUILT_IN
from evolution.policies.telling import told
from evolution.whole_file import whole_file
from gateway.cli.bus.which import place
from gateway.cli.experience.whose import kept_in
from gateway.cli.policy import listing, prune, views
from gateway.cli.policy.options import Name, Reason, Reviewed, say, say_state
from gateway.cli.policy.source import opened, who
from gateway.cli.terminal import session
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.session import Json, Tenant
from schemas.policy import PolicySnapshot
from schemas.policy_state import PolicyState, Preference, PriorComparison

app = typer.Typer(help="Which learned policy routes, what it learned from, and changing it.")

app.command("list")(listing.list_policies)
app.command()(prune.prune)


@app.command()
def show(
    policy: Name,
    out: Annotated[Path | None, typer.Option("--out", help="Write its file there instead.", dir_okay=False)] = None,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """One version: weights, lineage, what became of each agent. With --out, its file for `aos policy put`."""
    if policy == BUILT_IN:
        raise Failed(
            f"{BUILT_IN} is built in: the agent with the nearest skill; it has learned nothing that could show"
        )
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> tuple[PolicySnapshot, bytes, PriorComparison | None]:
        async with opened(settings) as (registry, _):
            bucket = registry.bucket
            snapshot, content = (
                await bucket.version(settings.tenant, policy),
                await bucket.content(settings.tenant, policy),
            )
            return snapshot, content, await bucket.comparison(settings.tenant)

    snapshot, content, comparison = session.run(work())
    if out is not None:
        try:
            with whole_file(out) as partial:
                partial.write_bytes(content)
        except OSError as error:
            raise Failed(f"cannot write {out}: {error.strerror}") from error
        say({"path": str(out), "bytes": len(content)}, f"{policy} in {out} ({len(content)} bytes)", as_json)
    elif as_json:
        session.print_json(snapshot.model_dump(mode="json"))
    else:
        views.show(snapshot)
        if comparison is not None and comparison.policy == policy:
            session.print_line(f"  {views.compared(comparison)}")


@app.command()
def put(
    file: Annotated[Path, typer.Argument(help="Policy file of `aos policy show --out`.", exists=True, dir_okay=False)],
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Store a policy file as a version; it routes nothing before it is promoted. Edited files are refused."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> PolicySnapshot:
        async with opened(settings, changes=True) as (registry, _):
            return await registry.bucket.put(settings.tenant, file.read_bytes())

    snapshot = session.run(work())
    say({"policy": snapshot.policy}, f"{snapshot.policy} is stored; put it in force: aos policy promote", as_json)


@app.command()
def diff(before: Name, after: Name, as_json: Json = False, tenant: Tenant = None) -> None:
    """What the second policy says and does differently from the first."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> Any:  # noqa: ANN401 - a PolicyDiff; its module is loaded with the registry
        async with opened(settings, guards=True) as (registry, _):
            return await registry.diff(settings.tenant, before, after)

    found = session.run(work())
    if as_json:
        session.print_json({name: getattr(found, name) for name in found.__slots__})
        return
    rows = [("weight", name, *views.numbers(pair)) for name, pair in found.weights.items()]
    rows += [("success of", name, *views.numbers(pair)) for name, pair in found.standings.items()]
    rows += [
        ("artefact", name, *("—" if one is None else one[:19] for one in pair))
        for name, pair in found.artefacts.items()
    ]
    session.print_table(("what", "name", before, after), rows, "they say the same")
    if found.encoders:
        session.print_line(f"\nthey are for different encoders: {found.encoders[0]} and {found.encoders[1]}")
    if found.changed_choices is not None:
        session.print_line(f"\n{found.changed_choices:.1%} of the last 7 days' choices would be other ones")


@app.command()
def promote(
    policy: Name,
    reviewed: Reviewed = False,
    reason: Reason = "",
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Put a policy in force, unless a guard asks for a person's review: then look, and add --reviewed."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> PolicyState:
        async with opened(settings, changes=True, guards=not reviewed) as (registry, _):
            return await registry.promote(settings.tenant, policy, who(reason), reviewed=reviewed)

    state = session.run(work())
    say_state(state, f"{state.active or BUILT_IN} is in force", as_json)


@app.command()
def review(policy: Name, as_json: Json = False, tenant: Tenant = None) -> None:
    """What the guards say to a promotion, without doing it."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> Any:  # noqa: ANN401 - as above
        async with opened(settings, guards=True) as (registry, _):
            return await registry.review(settings.tenant, policy)

    found = session.run(work())
    if as_json:
        findings = [{name: getattr(one, name) for name in one.__slots__} for one in found.findings]
        session.print_json({"policy": policy, "instead_of": found.instead_of, "findings": findings})
        return
    rows = [("ok" if one.ok else "LOOK", one.guard, one.says) for one in found.findings]
    session.print_table(("", "guard", f"{policy} instead of {found.instead_of}"), rows, "nothing to say")
    session.print_line(f"\nmeasured on the experience in {kept_in(settings)}; on the bus {place(settings)}")


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
def prefer(
    first: Annotated[Preference | None, typer.Argument(help="What evolved networks put first.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Refuse tasks whose plan promises less chance of success.", min=0.0, max=1.0),
    ] = None,
    reason: Reason = "",
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """What the tenant puts first, and how sure plans must be. Networks turn to it as kinds of task come again."""
    if first is None and threshold is None:
        raise Failed("nothing was said", exit_code=ExitCode.USAGE, next_step="aos policy prefer cost --threshold 0.6")
    words = ([f"{first} first"] if first else []) + ([] if threshold is None else [f"at least {threshold:.0%}"])
    said = " and ".join(words)
    _change(said, tenant, as_json, lambda registry, t: registry.prefer(t, who(reason), first, threshold))


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
        (f"{state.changed_at:%Y-%m-%d %H:%M:%S}", state.actor, what, state.active or BUILT_IN, state.reason)
        for state, what in zip(found, told(found), strict=True)
    ]
    session.print_table(("at", "by", "what", "in force then", "why"), rows, "nothing was ever changed")
    session.print_line(f"\non the bus {place(settings)}")


def _change(done: str, tenant: str | None, as_json: bool, change: Any) -> None:  # noqa: ANN401 - a coroutine function
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> PolicyState:
        async with opened(settings, changes=True) as (registry, _):
            state: PolicyState = await change(registry, settings.tenant)
            return state

    state = session.run(work())
    say_state(state, f"{done}: {state.active or BUILT_IN} is in force", as_json)

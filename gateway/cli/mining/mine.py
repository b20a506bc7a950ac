"""``aos mine``: what keeps happening. Reads the store beside a running evolution role; patterns are kept on the bus."""

import os
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

import typer

from evolution.errors import EvolutionError, PatternNotFound, RulesUnavailable
from evolution.rules.keeping import Patterns, Rules
from evolution.rules.making import opposed, rule_of
from gateway.cli.bus.connection import BUS_TIMEOUT_S, bus_of
from gateway.cli.bus.which import place
from gateway.cli.experience.source import where
from gateway.cli.experience.whose import NEXT_STEP, doubt
from gateway.cli.policy.source import who
from gateway.cli.terminal import session
from gateway.cli.terminal.bar import bar
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.session import Json, Tenant
from gateway.cli.terminal.windows import Window, span
from gateway.settings import Settings
from schemas.pattern import SynthesizedPattern
from schemas.routing_rule import RoutingRule, RoutingRules, RuleEffect

T = TypeVar("T")

app = typer.Typer(help="What keeps happening: mine experience for patterns, make routing rules of them.")

COLUMNS = ("pattern", "kind", "tasks", "confidence (95 %)", "lift", "what")
Pattern = Annotated[str, typer.Argument(help="Id of a pattern, or how it begins, as `aos mine list` shows it.")]


@app.callback(invoke_without_command=True)
def mine(
    context: typer.Context,
    window: Window = "30d",
    afresh: Annotated[bool, typer.Option("--afresh", help="Read everything again and learn kinds anew.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print; needs no bus.")] = False,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Find kinds of task, rules and drifts in what happened, and keep them. Reads only what is new."""
    if context.invoked_subcommand is not None:
        return
    from gateway.mining_desk import mine as mine_window  # lazy: scikit-learn takes 1 s, which `list` need not pay

    settings = session.settings_from({"tenant": tenant}).settings
    asked = span(window)
    # Patterns of a time gone by must not take the place of today's, nor rules follow them.
    keep = not dry_run and asked.until is None
    if keep:
        session.run(_check_bus(settings))
    with bar("reading experience", silent=as_json) as progress:
        try:
            report = mine_window(settings, settings.tenant, asked.since, asked.until, afresh=afresh, progress=progress)
        except EvolutionError as error:
            raise failed(error) from error
    changed = session.run(_keep(settings, report.patterns)) if keep else None
    if as_json:
        session.print_json(
            {
                "tasks": report.tasks,
                "read": report.read,
                "kept": keep,
                "patterns": [_plain(pattern) for pattern in report.patterns],
            }
        )
        return
    over = ", for the window ends before now" if asked.until is not None and not dry_run else ""
    kept = "; kept in place of those before" if keep else f"; not kept{over}"
    counted = f"{len(report.patterns)} patterns in {report.tasks} tasks of {window}, {report.read} newly read{kept}"
    if report.patterns:
        _print(report.patterns)
        session.print_line(f"\n{counted}")
    else:
        session.print_line(counted.replace("0 patterns", "no patterns", 1))
    if changed is not None:
        automatic = sum(rule.automatic for rule in changed.rules)
        session.print_line(f"automatic rules follow them: {automatic} now; aos rules list")


@app.command("list")
def list_patterns(as_json: Json = False, tenant: Tenant = None) -> None:
    """The patterns of the last run."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> list[SynthesizedPattern]:
        async with bus_of(settings) as nc:
            return await Patterns(nc.jetstream(timeout=BUS_TIMEOUT_S)).all(settings.tenant)

    found = _asked(work)
    if as_json:
        session.print_json([_plain(pattern) for pattern in found])
        return
    _print(found, "no patterns are kept; `aos mine` looks for some")
    if found:
        newest = max(pattern.mined_at for pattern in found)
        session.print_line(f"\nmined {newest:%Y-%m-%d %H:%M} UTC, on the bus {place(settings)}")


@app.command()
def show(pattern: Pattern, as_json: Json = False, tenant: Tenant = None) -> None:
    """One pattern with its evidence and examples."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> SynthesizedPattern:
        async with bus_of(settings) as nc:
            return await Patterns(nc.jetstream(timeout=BUS_TIMEOUT_S)).one(settings.tenant, pattern)

    found = _asked(work)
    if as_json:
        session.print_json(_plain(found))
        return
    for name, value in _plain(found).items():
        if value not in (None, "", []):
            session.print_line(f"{name:14} {', '.join(map(str, value)) if isinstance(value, list) else value}")
    session.print_line(f"\n→ aos mine apply {found.pattern_id[:12]}")


@app.command()
def apply(
    pattern: Pattern,
    effect: Annotated[
        RuleEffect | None, typer.Option("--effect", help="Default: exclude what fails, prefer what succeeds.")
    ] = None,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Make a routing rule of a pattern. `aos rules list` shows it, `aos rules remove` takes it back."""
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> tuple[RoutingRule, RoutingRules]:
        async with bus_of(settings, changes=True) as nc:
            js = nc.jetstream(timeout=BUS_TIMEOUT_S)
            rule = rule_of(await Patterns(js).one(settings.tenant, pattern), who("").actor, effect)
            return rule, await Rules(js).add(settings.tenant, rule)

    rule, rules = _asked(work)
    for other in opposed(rule, rules):
        sys.stderr.write(f"! rule {other.rule_id} says {other.effect.value} of the same agent; excluding is stronger\n")
    if as_json:
        session.print_json(rule.model_dump(mode="json"))
        return
    session.print_line(
        f"rule {rule.rule_id}: {rule.effect.value} {', '.join(rule.agents)}  (because: {rule.statement})"
    )
    session.print_line(f"→ aos rules remove {rule.rule_id}")


@app.command()
def graph(
    path: Annotated[str, typer.Argument(help="GraphML file to write, for Gephi, networkx, Cytoscape.")],
    window: Window = "30d",
    most: Annotated[int, typer.Option("--most", help="At most so many tasks, the latest.", min=2, max=20_000)] = 2000,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Write the similarity graph of experience: tasks, their nearest others, and how much each should count."""
    from gateway.mining_desk import write_graph  # lazy, as above

    settings, asked = session.settings_from({"tenant": tenant}).settings, span(window)
    try:
        nodes, edges = session.run(write_graph(settings, settings.tenant, asked.since, asked.until, path, most))
    except (EvolutionError, OSError) as error:
        if isinstance(error, EvolutionError):
            raise failed(error) from error
        raise Failed(f"cannot write {path}: {os.strerror(error.errno) if error.errno else error}") from error
    if as_json:
        session.print_json({"path": path, "tasks": nodes, "edges": edges})
    else:
        session.print_line(f"{nodes} tasks and {edges} edges in {path}")


def failed(error: EvolutionError) -> Failed:
    """The error in the command line's words."""
    codes: dict[type[EvolutionError], ExitCode] = {
        PatternNotFound: ExitCode.NOT_FOUND,
        RulesUnavailable: ExitCode.UNREACHABLE,
    }
    if error.code == "experience_store_unavailable":
        codes[type(error)] = ExitCode.UNREACHABLE
    exit_code = codes.get(type(error), ExitCode.FAILED)
    return Failed(str(error), exit_code=exit_code, code=error.code, next_step=where(error))


async def _check_bus(settings: Settings) -> None:
    """Before a minute of work whose result could not be kept, or not where it belongs. Raises Failed."""
    instead = "; `aos mine --dry-run` only prints patterns"
    try:
        async with bus_of(settings) as nc:
            found = await doubt(settings, nc.jetstream(timeout=BUS_TIMEOUT_S))
    except Failed as failure:
        failure.detail = failure.detail or f"patterns are kept there{instead} and needs none"
        raise
    if found is not None and found.other:
        raise Failed(
            found.says,
            code="another_experience",
            detail=f"its patterns and rules are of no use there, and nothing was mined{instead}",
            next_step=NEXT_STEP,
        )


async def _keep(settings: Settings, patterns: tuple[SynthesizedPattern, ...]) -> RoutingRules | None:
    """Answers the rules, if they changed."""
    from gateway.mining_desk import automatic_rules

    try:
        async with bus_of(settings, changes=True) as nc:
            js = nc.jetstream(timeout=BUS_TIMEOUT_S)
            await Patterns(js).replace(settings.tenant, patterns)
            return await Rules(js).follow(settings.tenant, patterns, automatic_rules(settings))
    except EvolutionError as error:
        raise failed(error) from error


def _asked(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    try:
        return session.run(work())
    except EvolutionError as error:
        raise failed(error) from error


def _plain(pattern: SynthesizedPattern) -> dict[str, object]:
    """As JSON, without the numbers of a centre."""
    return pattern.model_dump(mode="json", exclude={"task_kind": {"centre"}})


def _print(patterns: list[SynthesizedPattern] | tuple[SynthesizedPattern, ...], empty: str = "") -> None:
    rows = [
        (
            pattern.pattern_id[:12],
            pattern.kind.value,
            pattern.support,
            "" if pattern.confidence is None else f"{pattern.confidence:.0%} ({pattern.low:.0%}-{pattern.high:.0%})",
            "" if pattern.lift is None else f"{pattern.lift:.1f}",
            pattern.statement,
        )
        for pattern in patterns
    ]
    session.print_table(COLUMNS, rows, empty)

"""``aos replay report``: one self-contained HTML page about a window of experience."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from evolution.errors import EvolutionError, NothingToEvaluate
from evolution.ports import ExperienceQuery, ExperienceStore
from evolution.whole_file import whole_file
from gateway.cli.bus.connection import bus_of
from gateway.cli.experience.source import stored
from gateway.cli.terminal import session, windows
from gateway.cli.terminal.bar import say
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.session import Json, Tenant
from gateway.settings import Settings

if TYPE_CHECKING:
    from evolution.mining.kinds import Kinds
    from evolution.replay.decision_log import Policy, Reward
    from evolution.replay.off_policy import Evaluation
    from evolution.report.page import Window
    from schemas.experience import ExperienceRecord
    from schemas.policy_state import PolicyState


def report(
    out: Annotated[Path, typer.Option("--out", help="File to write; - is standard output.", dir_okay=False)] = Path(
        "report.html"
    ),
    window: windows.Window = "7d",
    limit: Annotated[int, typer.Option(help="Most tasks, the newest ones.", min=1)] = 20_000,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Success, latency and cost by kind and agent over time, the learning curve, patterns, and policies compared."""
    if not out.absolute().parent.is_dir():
        raise Failed(f"cannot write {out}: there is no folder {out.parent}")
    settings = session.settings_from({"tenant": tenant}).settings
    asked = windows.span(window)
    query = ExperienceQuery(tenant=settings.tenant, since=asked.since, until=asked.until, limit=limit)

    async def work() -> "tuple[Window, str]":
        from evolution.report.page import page  # lazy: matplotlib and the miners take seconds

        async with stored(settings) as store:
            found = await _gathered(settings, store, query)
            say(f"drawing {len(found.records)} tasks …")
            return found, await asyncio.to_thread(page, found)

    found, html = session.run(work())
    if out == session.STANDARD_OUTPUT:
        session.print_line(html.rstrip("\n"))
        return
    try:
        with whole_file(out) as partial:
            partial.write_text(html, encoding="utf-8")
    except BrokenPipeError:
        raise  # whoever read it has enough
    except OSError as error:
        raise Failed(f"cannot write {out}: {error.strerror}", exit_code=ExitCode.FAILED) from error
    if as_json:
        session.print_json({"path": str(out), "tasks": len(found.records), "policies": list(found.evaluations)})
    else:
        session.print_line(f"{len(found.records)} tasks in {out} ({len(html) // 1024} KiB)")


async def _gathered(settings: Settings, store: ExperienceStore, query: ExperienceQuery) -> "Window":
    from evolution.judging import rewards
    from evolution.replay.comparing import best_single
    from evolution.replay.decision_log import decisions
    from evolution.replay.policies import always
    from evolution.report.page import Window

    say("reading experience …")
    records = sorted(await store.find(query), key=lambda record: record.at)
    policies, changes = await _policies(settings, store)
    reward = await rewards(store, records)
    best = best_single(decisions(records, reward))
    if best is not None:
        policies[f"always {best}"] = always(best)
    say(f"evaluating {', '.join(policies)} …")
    evaluations, left_out = await _evaluated(records, policies, reward)
    cut = len(records) == query.limit
    return Window(settings.tenant, records, evaluations, left_out, changes, cut, _kinds(settings))


async def _evaluated(
    records: "Sequence[ExperienceRecord]", policies: "Mapping[str, Policy]", reward: "Reward"
) -> "tuple[Mapping[str, Evaluation], Mapping[str, int]]":
    from evolution.replay.evaluating import evaluated

    try:
        compared = await asyncio.to_thread(evaluated, records, policies, reward)
    except NothingToEvaluate:
        return {}, {}
    return compared.evaluations, compared.left_out


def _kinds(settings: Settings) -> "Kinds | None":
    """The kinds of task as `aos mine` knows them here, so that both speak of the same kind 3."""
    from evolution.mining.digest import DigestFolder

    folder = DigestFolder(settings.mining_dir / settings.tenant)
    return folder.kinds(folder.state())


async def _policies(settings: Settings, store: ExperienceStore) -> "tuple[dict[str, Policy], tuple[PolicyState, ...]]":
    """Logged and built-in always; the active and the reference one when the bus is in reach."""
    from gateway.policy_desk import registry_over
    from gateway.replay.comparands import ACTIVE, LOGGED, REFERENCE, named

    always_there = [LOGGED, "cosine-1"]
    try:
        async with bus_of(settings) as nc:
            registry = registry_over(nc.jetstream(timeout=10), store, settings)
            found = await named(registry, settings.tenant, [*always_there, ACTIVE, REFERENCE])
            return found, await registry.bucket.changes(settings.tenant)
    except (Failed, EvolutionError) as error:
        say(f"without the policies on the bus: {error}")
        return await named(None, settings.tenant, always_there), ()

"""``aos replay run``: tasks of a window done again under another policy, by recorded or by live agents."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evolution.ports import ExperienceQuery
from gateway.cli.bus.connection import bus_of
from gateway.cli.replay.sources import check_fixed_agents, policies_and_store, warn_of_another_bus
from gateway.cli.terminal import session
from gateway.cli.terminal.bar import say
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.session import Json, Tenant
from gateway.cli.terminal.windows import Window, span
from gateway.settings import Settings

if TYPE_CHECKING:
    from evolution.replay.decision_log import Policy
    from evolution.replay.rerunning import Rerun, RerunReport, Totals
    from evolution.replay.walking import Outcome, StepChange
    from gateway.replay.shadow import ShadowReport
    from schemas.experience import ExperienceRecord
    from schemas.task import StepOutcome

SHOWN = 20
LOGGED, UNIFORM = "logged", "uniform"


class Agents(StrEnum):
    """Who answers."""

    RECORDED = "recorded"
    LIVE = "live"


def run(
    policy: Annotated[
        str, typer.Option("--policy", help="Version, or cosine-1, always:AGENT, active …; logged: whoever did it then.")
    ] = "cosine-1",
    window: Window = "24h",
    agents: Annotated[
        Agents, typer.Option(help="recorded: what was answered then; live: harmless agents are asked again.")
    ] = Agents.RECORDED,
    alike: Annotated[
        float,
        typer.Option(help="Recorded answers to tasks of that cosine count too; 1 is the same words.", min=0.0, max=1.0),
    ] = 1.0,
    cards: Annotated[
        Path | None,
        typer.Option("--cards", help="For live agents: the folder that `aos up --agents` was given.", file_okay=False),
    ] = None,
    limit: Annotated[int, typer.Option(help="Most tasks, the newest ones.", min=1)] = 1000,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Do the window's tasks again under a policy and compare results.

    Networks are run by the workers' own runner. recorded: deterministic, from stored answers; what nobody answered is
    said to be unknown. live: in a shadow lane without effects: only agents with the tag side_effects:none are asked,
    and nothing is stored or learned.
    """
    if policy == UNIFORM:
        raise Failed(
            "uniform chooses by chance: whom it would have chosen is not known",
            exit_code=ExitCode.USAGE,
            next_step="aos replay evaluate --policy uniform",
        )
    settings = session.settings_from({"tenant": tenant, "agents.cards_dir": cards}).settings
    asked = span(window)
    query = ExperienceQuery(tenant=settings.tenant, since=asked.since, until=asked.until, limit=limit)

    async def work() -> "ShadowReport":
        async with policies_and_store(settings, [policy], asked) as (policies, store):
            [chosen] = policies.values()
            records = await store.find(query)
            check_fixed_agents([policy], {one.agent_id for record in records for one in record.candidates})
            return await _again(settings, records, None if policy == LOGGED else chosen, agents, alike)

    found = session.run(work())
    if as_json:
        session.print_json(_as_json(found, policy, agents))
    else:
        _show(found, policy, agents, f"no task of {window} was done again")


async def _again(
    settings: Settings,
    records: "list[ExperienceRecord]",
    policy: "Policy | None",
    agents: Agents,
    alike: float,
) -> "ShadowReport":
    from evolution.replay.rerunning import rerun  # lazy: scipy and LangGraph
    from gateway.replay.recorded import RecordedLane
    from gateway.replay.shadow import ShadowReport

    say(f"{len(records)} tasks, agents {agents.value} …")
    if agents is Agents.LIVE:
        return await _live(settings, records, policy)
    kept = [record for record in records if record.candidates and record.steps and record.chosen]
    left_out = len(records) - len(kept)
    reasons = {"nobody was chosen, or no step was done": left_out} if left_out else {}
    return ShadowReport(await rerun(kept, policy, RecordedLane().again, alike=alike), reasons)


async def _live(settings: Settings, records: "list[ExperienceRecord]", policy: "Policy | None") -> "ShadowReport":
    from agents.connectors.wiring import connectors
    from agents.journey.records import TaskRecords
    from agents.registry.kv_registry import KvRegistry
    from gateway.foundation import open_blobs
    from gateway.replay.asked import Kept
    from gateway.replay.shadow import ShadowLane, code_not_found
    from schemas.subjects import BUCKET_TASKS

    async with bus_of(settings) as nc:
        await warn_of_another_bus(settings, nc)
        js, blobs = nc.jetstream(timeout=10), open_blobs(settings)
        revisions = await KvRegistry(js).list_cards(settings.tenant)
        cards = {revision.card.id: revision.card for revision in revisions}
        folders = (settings.agents.cards_dir.absolute(),) if settings.agents.cards_dir else ()
        asked = {one.agent_id for record in records for one in record.candidates}
        _check_code(code_not_found(cards, asked, folders, settings.agents.python_packages))
        directory = connectors(
            nc,
            blobs,
            python_folders=folders,
            python_packages=settings.agents.python_packages,
            gateway_url=settings.public_url,
            python_children=settings.agents.python_children,
        )
        try:
            asker = Kept(TaskRecords(await js.key_value(BUCKET_TASKS)), blobs)
            return await ShadowLane(directory, cards, asker).run(records, policy)
        finally:
            await directory.close()


def _check_code(lost: Mapping[str, str]) -> None:
    """Raises Failed for agents whose Python code is not where it is looked for: that is no policy's fault."""
    if lost:
        raise Failed(
            f"the Python code of {', '.join(lost)} is not found, and nobody was asked",
            exit_code=ExitCode.USAGE,
            detail=next(iter(lost.values())),
            next_step="add --cards FOLDER, the one that `aos up --agents` was given, or set AOS_AGENTS_DIR; "
            "for an agent that is no more: aos agents remove",
        )


def _show(found: "ShadowReport", policy: str, agents: Agents, empty: str) -> None:
    compared = found.compared
    count = len(compared.reruns)
    if count:
        rows = [_totals_row("as it was", compared.before), _totals_row(policy, compared.after)]
        session.print_table(("", "tasks", "success", "mean latency ms", "mean cost"), rows, "no tasks")
        session.print_line(f"\n{compared.changed} of {count} tasks go to another agent")
    else:
        session.print_line(empty)
    if compared.unknown:
        session.print_line(
            f"{compared.unknown} have no recorded answer of that agent: over all {count}, success lies between "
            f"{compared.low:.1%} and {compared.high:.1%}\n"
            "→ --alike 0.9 also takes answers to tasks nearly the same; aos replay evaluate judges without any"
        )
    if agents is Agents.LIVE and compared.unaided:
        session.print_line(
            f"{compared.unaided} that fail now had succeeded by a further attempt or by another agent that stood in: "
            "in this lane each agent is asked once, and nobody stands in"
        )
    differing = [one for one in compared.reruns if one.after is not None and one.after.success != one.before.success]
    rows = [(one.task_id, *_change(one), one.instruction[:50]) for one in differing[:SHOWN]]
    if differing:
        session.print_line("")
        session.print_table(("task", "agent then", "agent now", "success", "words"), rows, "")
    steps = [(one.task_id, *_step(step)) for one in compared.reruns for step in one.steps if step.differs]
    if steps:
        session.print_line(f"\n{len(steps)} steps went otherwise")
        columns = ("task", "step", "agent then", "", "ms", "agent now", "", "ms", "error now")
        session.print_table(columns, steps[:SHOWN], "")
    answered = [one.same_answer for one in compared.reruns if one.same_answer is not None]
    if answered:
        session.print_line(f"\n{sum(answered)} of {len(answered)} answers are the stored ones, byte for byte")
    for reason, left in found.left_out.items():
        session.print_line(f"left out: {left} because {reason}")
    from gateway.replay.shadow import HARMLESS  # lazy, as above

    if not count and any(HARMLESS in reason for reason in found.left_out):
        session.print_line(f"→ give cards of agents that change nothing the tag {HARMLESS}; then they are asked")


def _totals_row(name: str, totals: "Totals") -> tuple[object, ...]:
    return (name, totals.tasks, f"{totals.success:.1%}", f"{totals.latency_ms:.0f}", f"{totals.cost:.4g}")


def _change(one: "Rerun") -> tuple[str, str, str]:
    assert one.after is not None
    return one.before_agent, one.after_agent, "lost" if one.before.success else "won"


def _step(step: "StepChange") -> tuple[object, ...]:
    def said(done: "StepOutcome | None") -> tuple[object, ...]:
        return (
            ("", "not done", "")
            if done is None
            else (done.agent_id, "ok" if done.ok else "failed", f"{done.latency_ms:.0f}")
        )

    return (step.node, *said(step.before), *said(step.after), (step.after.error or "")[:60] if step.after else "")


def _as_json(found: "ShadowReport", policy: str, agents: Agents) -> dict[str, Any]:
    def plain(value: Any) -> Any:  # noqa: ANN401 - a dataclass of plain values, or None
        if value is None:
            return None
        return {name: getattr(value, name) for name in value.__slots__}

    def outcome(value: "Outcome | None") -> Any:  # noqa: ANN401
        return None if value is None else {name: each for name, each in plain(value).items() if name != "steps"}

    def step(change: "StepChange") -> dict[str, Any]:
        then, now = (done and done.model_dump(mode="json") for done in (change.before, change.after))
        return {"node": change.node, "differs": change.differs, "before": then, "after": now}

    compared: RerunReport = found.compared
    return {
        "policy": policy,
        "agents": agents.value,
        "before": plain(compared.before),
        "after": plain(compared.after),
        "tasks": len(compared.reruns),
        "changed": compared.changed,
        "unknown": compared.unknown,
        "unaided": compared.unaided,
        "success_between": [compared.low, compared.high],
        "left_out": dict(found.left_out),
        "reruns": [
            {
                **plain(one),
                "before": outcome(one.before),
                "after": outcome(one.after),
                "steps": list(map(step, one.steps)),
            }
            for one in compared.reruns
        ],
    }

"""``aos replay``: what happened, step by step, and how another policy would have done. Reads; changes nothing."""

from typing import Annotated, Any

import typer

from evolution.ports import ExperienceQuery
from gateway.cli import replay_evaluate, replay_report, replay_run, session
from gateway.cli.experience_source import stored
from gateway.cli.failure import ExitCode, Failed
from gateway.cli.policy_source import bus_of
from gateway.cli.session import Json, Tenant
from gateway.cli.windows import Window, span
from gateway.errors import TaskNotFound
from gateway.replay.story import Moment, Stories, Story
from schemas.experience import ExperienceRecord

app = typer.Typer(help="What happened, step by step, and how another policy would have done.")

TaskId = Annotated[str, typer.Argument(help="Task id, as `aos replay list` shows it.")]
BAR = 40

app.command()(replay_evaluate.evaluate)
app.command()(replay_run.run)
app.command()(replay_report.report)


@app.command("list")
def list_tasks(
    window: Window = "7d",
    agent: Annotated[str | None, typer.Option(help="Only tasks that this agent worked on.")] = None,
    policy: Annotated[str | None, typer.Option(help="Only tasks that this policy routed.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only tasks that did not succeed.")] = False,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1)] = 20,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """Finished tasks, newest first."""
    settings = session.settings_from({"tenant": tenant}).settings
    asked = span(window)
    query = ExperienceQuery(
        tenant=settings.tenant,
        since=asked.since,
        until=asked.until,
        agent_id=agent,
        success=False if failed else None,
        limit=limit if policy is None else max(limit, 10_000),
    )

    async def work() -> list[ExperienceRecord]:
        async with stored(settings) as store:
            return [record for record in await store.find(query) if policy in (None, record.policy)][:limit]

    found = session.run(work())
    if as_json:
        session.print_json([record.model_dump(mode="json", exclude={"vector"}) for record in found])
        return
    rows = [
        (
            record.task_id,
            f"{record.at:%m-%d %H:%M:%S}",
            record.state.value,
            record.policy,
            " → ".join(record.chosen) or "nobody",
            f"{record.latency_ms:.0f}",
            " ".join(record.instruction.split())[:50],
        )
        for record in found
    ]
    session.print_table(("task", "at", "state", "policy", "team", "ms", "words"), rows, f"no tasks in {window}")


@app.command()
def show(task_id: TaskId, as_json: Json = False, tenant: Tenant = None) -> None:
    """One task: what was asked, who could do it, who did, what it took, what people said."""
    story = _story(task_id, tenant)
    if as_json:
        session.print_json(_story_json(story))
    else:
        _show(story)


@app.command()
def timeline(task_id: TaskId, as_json: Json = False, tenant: Tenant = None) -> None:
    """One task, moment by moment."""
    story = _story(task_id, tenant)
    if as_json:
        session.print_json(_story_json(story)["timeline"])
        return
    total = max([moment.offset_ms + (moment.took_ms or 0.0) for moment in story.timeline] or [1.0])
    rows = [
        (f"{moment.offset_ms:.0f}", _bar(moment, total), moment.what, moment.who, _took(moment), moment.detail)
        for moment in story.timeline
    ]
    session.print_table(("at ms", "", "what", "who", "took ms", ""), rows, "nothing was told")
    _say_missing(story)


@app.command()
def diff(
    first: TaskId,
    second: TaskId,
    every: Annotated[bool, typer.Option("--all", help="Also what is the same.")] = False,
    as_json: Json = False,
    tenant: Tenant = None,
) -> None:
    """How two tasks differ: candidates and scores, team, times, steps, cost."""
    from gateway.replay.differing import rows as differing_rows

    one, other = _story(first, tenant).record, _story(second, tenant).record
    if one is None or other is None:
        missing = first if one is None else second
        raise Failed(f"task {missing} has no experience yet to compare", exit_code=ExitCode.NOT_FOUND)
    rows = [row for row in differing_rows(one, other) if every or row.differs]
    if as_json:
        session.print_json([{"what": row.what, "first": row.first, "second": row.second} for row in rows])
    else:
        session.print_table(
            ("what", first, second), [(row.what, row.first, row.second) for row in rows], "they are alike"
        )


def _story(task_id: str, tenant: str | None) -> Story:
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> Story:
        async with stored(settings) as store:
            try:
                async with bus_of(settings) as nc:
                    return await Stories(store, nc).of(settings.tenant, task_id)
            except Failed as failure:
                if failure.code != "bus_unavailable":
                    raise
            return await Stories(store, None).of(settings.tenant, task_id)

    try:
        return session.run(work())
    except TaskNotFound as error:
        raise Failed(str(error), exit_code=ExitCode.NOT_FOUND, code=error.code, next_step="aos replay list") from error


def _story_json(story: Story) -> dict[str, Any]:
    return {
        "task_id": story.task_id,
        "record": story.record.model_dump(mode="json", exclude={"vector"}) if story.record else None,
        "timeline": [{name: getattr(moment, name) for name in moment.__slots__} for moment in story.timeline],
        "events": [event.model_dump(mode="json") for event in story.events],
        "feedback": [said.model_dump(mode="json") for said in story.feedback],
        "missing": story.missing,
    }


def _show(story: Story) -> None:
    record = story.record
    if record is None:
        session.print_line(f"task {story.task_id}: {story.events[-1].kind.value}")
        _say_missing(story)
        return
    session.print_line(f"task {record.task_id}: {record.state.value} {record.failure_code or ''}".rstrip())
    session.print_line(f"  asked    {' '.join(record.instruction.split())[:200]}")
    session.print_line(f"  at       {record.at:%Y-%m-%d %H:%M:%S}, {record.latency_ms:.0f} ms, cost {record.cost:.4g}")
    explored = ", explored" if record.exploratory else ""
    session.print_line(f"  policy   {record.policy}, chosen with probability {record.propensity:.3g}{explored}")
    session.print_line(f"  team     {' → '.join(record.chosen) or 'nobody'}\n")
    rows: list[tuple[object, ...]] = [
        (c.agent_id, c.skill_id, f"{c.score:.3f}", f"{c.probability:.3f}", "; ".join(c.reasons))
        for c in record.candidates
    ]
    session.print_table(("candidate", "skill", "score", "probability", "why"), rows, "no candidates")
    session.print_line("")
    steps = [
        (s.node, s.agent_id, "ok" if s.ok else "failed", s.attempts, f"{s.latency_ms:.0f}", f"{s.cost:.4g}", s.error)
        for s in record.steps
    ]
    session.print_table(("step", "agent", "", "attempts", "ms", "cost", "error"), steps, "no steps")
    for said in story.feedback:
        thumb = {True: "thumbs up", False: "thumbs down", None: ""}[said.thumbs_up]
        score = "" if said.score is None else f"score {said.score:.2f}"
        session.print_line(f"\n{said.actor or 'somebody'}: {' '.join(filter(None, (thumb, score, said.comment)))}")
    _say_missing(story)


def _say_missing(story: Story) -> None:
    for missing in story.missing:
        session.print_line(f"\n({missing})")


def _bar(moment: Moment, total_ms: float) -> str:
    start = min(int(BAR * moment.offset_ms / max(total_ms, 1e-9)), BAR - 1)
    length = max(1, round(BAR * (moment.took_ms or 0.0) / max(total_ms, 1e-9)))
    if moment.took_ms is not None and moment.what == "step finished":
        start = max(0, start - length)
    return " " * max(start, 0) + "█" * min(length, BAR - max(start, 0))


def _took(moment: Moment) -> str:
    return "" if moment.took_ms is None else f"{moment.took_ms:.0f}"

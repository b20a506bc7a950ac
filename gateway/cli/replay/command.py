"""``aos replay``: what happened, step by step, and how another policy would have done. Reads; changes nothing."""

from typing import Annotated, Any

import typer

from evolution.ports import ExperienceQuery
from gateway.cli.bus.connection import bus_of
from gateway.cli.experience.source import stored
from gateway.cli.replay import evaluate, report, run
from gateway.cli.replay.sources import warn_of_another_bus
from gateway.cli.replay.views import print_story, print_tasks, print_timeline
from gateway.cli.terminal import session
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.session import Json, Tenant
from gateway.cli.terminal.windows import Window, span
from gateway.errors import TaskNotFound
from gateway.replay.story import Stories, Story
from schemas.experience import ExperienceRecord

app = typer.Typer(help="What happened, step by step, and how another policy would have done.")

TaskId = Annotated[str, typer.Argument(help="Task id, as `aos replay list` shows it.")]

_WHERE = "aos replay list; what was given up before it was a task: aos dead list"

app.command()(evaluate.evaluate)
app.command()(run.run)
app.command()(report.report)


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
        policy=policy,
        limit=limit,
    )

    async def work() -> list[ExperienceRecord]:
        async with stored(settings) as store:
            return await store.find(query)

    found = session.run(work())
    if as_json:
        session.print_json([record.model_dump(mode="json", exclude={"vector"}) for record in found])
        return
    print_tasks(found, f"no tasks{_of(agent, policy, failed=failed)} in {window}")


@app.command()
def show(task_id: TaskId, as_json: Json = False, tenant: Tenant = None) -> None:
    """One task: what was asked, who could do it, who did, what it took, what people said."""
    story = _story(task_id, tenant)
    if as_json:
        session.print_json(_story_json(story))
    else:
        print_story(story)


@app.command()
def timeline(task_id: TaskId, as_json: Json = False, tenant: Tenant = None) -> None:
    """One task, moment by moment."""
    story = _story(task_id, tenant)
    if as_json:
        session.print_json(_story_json(story)["timeline"])
        return
    print_timeline(story)


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
        raise Failed(
            f"task {missing} has no experience yet to compare",
            exit_code=ExitCode.NOT_FOUND,
            next_step=f"aos replay timeline {missing}",
        )
    rows = [row for row in differing_rows(one, other) if every or row.differs]
    if as_json:
        session.print_json([{"what": row.what, "first": row.first, "second": row.second} for row in rows])
    else:
        session.print_table(
            ("what", first, second), [(row.what, row.first, row.second) for row in rows], "they are alike"
        )


def _of(agent: str | None, policy: str | None, *, failed: bool) -> str:
    """What was asked for besides the window, in words that follow "no tasks"."""
    said = (f" that {agent} worked on" if agent else "", f" that {policy} routed" if policy else "")
    return " and".join(filter(None, (*said, " that did not succeed" if failed else "")))


def _story(task_id: str, tenant: str | None) -> Story:
    settings = session.settings_from({"tenant": tenant}).settings

    async def work() -> Story:
        async with stored(settings) as store:
            try:
                async with bus_of(settings) as nc:
                    await warn_of_another_bus(settings, nc)
                    return await Stories(store, nc).of(settings.tenant, task_id)
            except Failed as failure:
                if failure.code != "bus_unavailable":
                    raise
            return await Stories(store, None).of(settings.tenant, task_id)

    try:
        return session.run(work())
    except TaskNotFound as error:
        raise Failed(str(error), exit_code=ExitCode.NOT_FOUND, code=error.code, next_step=_WHERE) from error


def _story_json(story: Story) -> dict[str, Any]:
    return {
        "task_id": story.task_id,
        "record": story.record.model_dump(mode="json", exclude={"vector"}) if story.record else None,
        "timeline": [{name: getattr(moment, name) for name in moment.__slots__} for moment in story.timeline],
        "events": [event.model_dump(mode="json") for event in story.events],
        "feedback": [said.model_dump(mode="json") for said in story.feedback],
        "missing": story.missing,
    }

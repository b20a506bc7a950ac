"""``aos task``: submit a task, watch it, get its result, cancel or approve it. Talks HTTP, or straight to the bus."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.door import views
from gateway.cli.door.client import client
from gateway.cli.task import following, options
from gateway.cli.terminal import session
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.cli.terminal.session import Json, Tenant, Url
from schemas.task import Priority, TaskState

app = typer.Typer(help="Submit a task, watch it, get its result, cancel or approve it.")

TaskId = Annotated[str, typer.Argument(help="Task id, as `aos task submit` printed it.")]
Attach = Annotated[
    list[Path] | None,
    typer.Option("--attach", "-a", help="File to send along; repeat for several.", exists=True, dir_okay=False),
]


@app.command()
def submit(
    text: Annotated[str, typer.Argument(help="What you want done, in words; '-' reads standard input.")] = "",
    attach: Attach = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Show progress and print the result.")] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Longest wait, in seconds.", min=0.1)] = 300.0,
    save: Annotated[Path | None, typer.Option("--save", help="Folder for the result's files.", file_okay=False)] = None,
    priority: Annotated[Priority, typer.Option(help="Lane of the queue.")] = Priority.NORMAL,
    pin: options.Pin = None,
    exclude: options.Exclude = None,
    require: options.Require = None,
    approval: Annotated[bool, typer.Option("--approval", help="Ask a person before anything is done.")] = False,
    deadline_s: Annotated[float, typer.Option("--deadline", help="Seconds of work allowed.", min=0.1)] = 300.0,
    max_cost: options.MaxCost = None,
    label: Annotated[list[str] | None, typer.Option(help="name=value, kept with the task; repeat.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key: the same key is the same task.")] = None,
    bus: Annotated[bool, typer.Option("--bus", help="Publish straight to NATS (AOS_NATS_URL), not over HTTP.")] = False,
    as_json: Json = False,
    tenant: Tenant = None,
    url: Url = None,
) -> None:
    """Submit a task and print its id; with --wait, follow it and print the result (exit code 6: it needs approval)."""
    draft = options.given(
        {
            "text": _words(text),
            "routing": options.routing(pin, exclude, require),
            "requires_approval": approval,
            "priority": priority.value,
            "deadline_s": deadline_s,
            "max_cost": max_cost,
            "labels": _labels(label or ()),
        }
    )
    if save and not wait:
        raise Failed("--save needs --wait: there is no result to save yet", exit_code=ExitCode.USAGE)
    settings = session.settings_from({"tenant": tenant, "url": url}).settings
    send = following.over_bus if bus else following.over_http
    sent = following.Sent(draft, tuple(attach or ()), key)
    how = following.Following(wait=wait, timeout_s=timeout_s, as_json=as_json, save=save)
    raise typer.Exit(session.run(send(settings, sent, how)))


@app.command()
def get(
    task_id: TaskId,
    save: Annotated[Path | None, typer.Option("--save", help="Folder for the result's files.", file_okay=False)] = None,
    as_json: Json = False,
    tenant: Tenant = None,
    url: Url = None,
) -> None:
    """Show one task: its state, who works on it, its result."""

    async def work() -> int:
        async with client(tenant, url) as gateway:
            record = await gateway.get(f"/v1/tasks/{task_id}")
            await following.show_record(gateway, record, as_json=as_json, save=save)
            return int(views.exit_code_of(record))

    raise typer.Exit(session.run(work()))


@app.command("list")
def list_tasks(
    state: Annotated[TaskState | None, typer.Option(help="Only tasks in this state.")] = None,
    limit: Annotated[int, typer.Option(help="How many, newest first.", min=1, max=1000)] = 20,
    cursor: Annotated[str | None, typer.Option(help="Where the last page ended.")] = None,
    as_json: Json = False,
    tenant: Tenant = None,
    url: Url = None,
) -> None:
    """List tasks, newest first."""

    async def work() -> None:
        async with client(tenant, url) as gateway:
            chosen = state.value if state else None
            page = await gateway.get("/v1/tasks", state=chosen, limit=limit, cursor=cursor)
        if as_json:
            session.print_json(page)
            return
        session.print_table(views.TASK_COLUMNS, [views.task_row(task) for task in page["tasks"]], "no tasks")
        if page.get("cursor"):
            session.print_line(f"more: --cursor {page['cursor']}")

    session.run(work())


@app.command()
def watch(
    task_id: TaskId,
    timeout_s: Annotated[float, typer.Option("--timeout", help="Longest wait, in seconds.", min=0.1)] = 86_400.0,
    as_json: Json = False,
    tenant: Tenant = None,
    url: Url = None,
) -> None:
    """Follow a task from its first event to its result, or until it needs approval. With --json, one event a line."""

    async def work() -> int:
        async with client(tenant, url) as gateway:
            how = following.Following(wait=True, timeout_s=timeout_s, as_json=as_json, events_as_json=as_json)
            return await following.follow(gateway, task_id, how)

    raise typer.Exit(session.run(work()))


@app.command()
def cancel(
    task_id: TaskId,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    as_json: Json = False,
    tenant: Tenant = None,
    url: Url = None,
) -> None:
    """Stop a task, wherever it is."""
    _tell(task_id, "cancel", options.given({"reason": reason}), tenant=tenant, url=url, as_json=as_json)


@app.command()
def approve(
    task_id: TaskId,
    deny: Annotated[bool, typer.Option("--deny", help="Say no instead.")] = False,
    node: Annotated[str | None, typer.Option(help="Only this step; default: every one that waits.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    actor: Annotated[str, typer.Option(help="Who decides.", envvar="USER", show_envvar=False)] = "",
    as_json: Json = False,
    tenant: Tenant = None,
    url: Url = None,
) -> None:
    """Let a task that waits for a person go on, or refuse it."""
    body = options.given({"node": node, "reason": reason, "actor": actor})
    _tell(task_id, "deny" if deny else "approve", body, tenant=tenant, url=url, as_json=as_json)


@app.command()
def feedback(
    task_id: TaskId,
    good: Annotated[bool | None, typer.Option("--good/--bad", help="Whether the result is right.")] = None,
    score: Annotated[float | None, typer.Option(help="How good it is, 0 to 1.", min=0, max=1)] = None,
    comment: Annotated[str, typer.Option(help="In words.")] = "",
    actor: Annotated[str, typer.Option(help="Who says so.", envvar="USER", show_envvar=False)] = "",
    as_json: Json = False,
    tenant: Tenant = None,
    url: Url = None,
) -> None:
    """Say what you think of a task's result: routing learns from it."""
    if good is None and score is None and not comment.strip():
        raise Failed("say at least one of --good, --bad, --score and --comment", exit_code=ExitCode.USAGE)
    opinion = {"thumbs_up": good, "score": score}
    body = options.given({"comment": comment, "actor": actor}) | {k: v for k, v in opinion.items() if v is not None}
    _tell(task_id, "feedback", body, tenant=tenant, url=url, as_json=as_json)


def _tell(task_id: str, verb: str, body: dict[str, Any], *, tenant: str | None, url: str | None, as_json: bool) -> None:
    async def work() -> Any:  # noqa: ANN401 - the door's JSON
        async with client(tenant, url) as gateway:
            return await gateway.post(f"/v1/tasks/{task_id}/{verb}", body)

    answer = session.run(work())
    if as_json:
        session.print_json(answer)
    else:
        session.print_line(f"{task_id}: {verb} sent")


def _words(text: str) -> str:
    if text != "-":
        return text
    with os.fdopen(0, "r", encoding="utf-8", closefd=False) as standard_input:
        return standard_input.read()


def _labels(pairs: list[str] | tuple[()]) -> dict[str, str]:
    labels = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise Failed(f"--label {pair!r} is not name=value", exit_code=ExitCode.USAGE)
        labels[name] = value
    return labels

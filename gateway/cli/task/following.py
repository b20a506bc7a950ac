"""Sends a task and follows it to its end: progress on the terminal, then the result. Called by ``aos task``."""

import asyncio
import base64
import json
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.cli.door import views
from gateway.cli.door.client import GatewayClient
from gateway.cli.task.progress import Progress
from gateway.cli.terminal import session
from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.settings import Settings
from schemas.task import TaskEventKind, TaskState

LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Sent:
    """What the user wants done."""

    draft: Mapping[str, Any]
    attachments: tuple[Path, ...]
    key: str | None


@dataclass(frozen=True, slots=True)
class Following:
    """How much of it the user wants to see."""

    wait: bool
    timeout_s: float
    as_json: bool
    save: Path | None = None
    events_as_json: bool = False


async def over_http(settings: Settings, sent: Sent, how: Following) -> int:
    """Submit through the HTTP door. Returns the exit code."""
    async with GatewayClient(settings.gateway_url, settings.tenant) as client:
        accepted = await client.submit(sent.draft, sent.attachments, key=sent.key)
        return await _after(client, accepted["task_id"], accepted, how)


async def over_bus(settings: Settings, sent: Sent, how: Following) -> int:
    """Publish straight to the bus; waiting still asks the HTTP door. Returns the exit code."""
    from gateway.cli.task import bus_door  # lazy: 0.15 s for nats-py, which the HTTP door does not need

    task = await bus_door.publish(settings, sent.draft, sent.attachments, sent.key)
    async with GatewayClient(settings.gateway_url, settings.tenant) as client:
        return await _after(client, task.task_id, {"task_id": task.task_id, "state": "queued"}, how, unknown=True)


async def follow(client: GatewayClient, task_id: str, how: Following, *, unknown: bool = False) -> int:
    """Show the task's progress until it ends or needs a person, then its record. Returns the exit code.

    ``unknown``: it went straight to the bus, so that the door knows nothing of it before a worker has taken it.
    """
    try:
        async with asyncio.timeout(how.timeout_s):
            if unknown:
                await _until_known(client, task_id)
                unknown = False
            record = await _show_events(client, task_id, how)
    except TimeoutError:
        queued = unknown or (await client.record(task_id))["state"] == TaskState.QUEUED
        raise _still_running(task_id, how.timeout_s, queued=queued) from None
    if not how.events_as_json:
        await show_record(client, record, as_json=how.as_json, save=how.save)
    return int(ExitCode.AWAITING_APPROVAL if views.waits_for_a_person(record) else views.exit_code_of(record))


async def show_record(client: GatewayClient, record: dict[str, Any], *, as_json: bool, save: Path | None) -> None:
    """Print a task's record, and save its outputs when a folder is given."""
    saved = await _saved(client, record, save) if save else []
    if as_json:
        session.print_json(record | ({"saved": [str(path) for path in saved]} if save else {}))
        return
    for line in views.record_lines(record, saved=save is not None):
        session.print_line(line)
    for path in saved:
        session.print_line(f"saved {path}")


async def _saved(client: GatewayClient, record: dict[str, Any], folder: Path) -> list[Path]:
    try:
        return await _save_outputs(client, record, folder)
    except OSError as error:
        raise Failed(
            f"the result cannot be saved in {folder}: {(error.strerror or str(error)).lower()}",
            code="not_saved",
            next_step=f"the task is done; fetch it into another folder: aos task get {record['task_id']} --save FOLDER",
        ) from error


async def _after(
    client: GatewayClient, task_id: str, accepted: dict[str, Any], how: Following, *, unknown: bool = False
) -> int:
    if how.wait:
        return await follow(client, task_id, how, unknown=unknown)
    if how.as_json:
        session.print_json(accepted)
    else:
        session.print_line(task_id)
    return int(ExitCode.DONE)


async def _show_events(client: GatewayClient, task_id: str, how: Following) -> dict[str, Any]:
    """The task's record when it is over, or asks for a person and nobody has answered yet."""
    kind = ""
    with Progress(silent=how.as_json) as progress:
        async for event in client.events(task_id):
            kind = event.event
            if how.events_as_json:
                session.print_line(event.data)
            progress.show(json.loads(event.data))
            if kind == TaskEventKind.AWAITING_APPROVAL.value:
                record = await client.record(task_id)
                if views.waits_for_a_person(record):
                    return record
    return await client.record(task_id, kind)


async def _until_known(client: GatewayClient, task_id: str) -> None:
    """Wait until the task's story begins. A message that was refused on the bus has a story, and no record."""
    while True:
        try:
            async with aclosing(client.events(task_id)) as events:
                async for _ in events:
                    return
        except Failed as failure:
            if failure.exit_code is not ExitCode.NOT_FOUND:
                raise
        await asyncio.sleep(LOOK_EVERY_S)


def _still_running(task_id: str, timeout_s: float, *, queued: bool) -> Failed:
    return Failed(
        f"task {task_id} still runs after {timeout_s:g} s",
        exit_code=ExitCode.STILL_RUNNING,
        code="still_running",
        detail="no worker has taken it yet: is one running? (aos serve --role agents)" if queued else "",
        next_step=f"aos task watch {task_id}",
    )


async def _save_outputs(client: GatewayClient, record: dict[str, Any], folder: Path) -> list[Path]:
    outputs = (record.get("result") or {}).get("outputs", [])
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    saved = []
    for number, part in enumerate(outputs):
        path = folder / _file_name(number, part)
        if part.get("ref"):
            await client.download(f"/v1/tasks/{record['task_id']}/outputs/{number}", path)
        else:
            inline = part["text"].encode() if part.get("text") is not None else base64.b64decode(part["data"])
            await asyncio.to_thread(path.write_bytes, inline)
        saved.append(path)
    return saved


def _file_name(number: int, part: dict[str, Any]) -> str:
    """The part's own name when it is a plain one: a result never chooses a place outside the folder."""
    name = Path(part.get("name") or "").name
    if name and name not in (".", ".."):
        return name
    return f"output-{number}{views.suffix_of(part.get('media_type'))}"

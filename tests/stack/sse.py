"""Reads a task's event stream as any client would."""

import json
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class ServerEvent:
    """One server-sent event."""

    id: str
    kind: str
    data: dict[str, Any]


async def read_events(door: httpx.AsyncClient, task_id: str, last_event_id: str | None = None) -> list[ServerEvent]:
    """The stream to its end, which is the end of the task."""
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    async with door.stream("GET", f"/v1/tasks/{task_id}/events", headers=headers, timeout=30) as answer:
        assert answer.status_code == 200
        body = (await answer.aread()).decode()
    return [_event(block) for block in body.split("\n\n") if block.startswith("id:")]


def _event(block: str) -> ServerEvent:
    fields = dict(line.split(": ", 1) for line in block.splitlines())
    return ServerEvent(fields["id"], fields["event"], json.loads(fields["data"]))

"""Publishes the moments of a task's life. Called by `travel` and, through ports.Tell, by the runner.

The steps along the way are published without waiting: the stream keeps them, and losing one in an outage costs a line
of a story that the record tells too. The last event is acknowledged by the bus (`settlement`).

A task has seven moments or more, so each is written at once instead of being made, checked and dumped as a model: what
reads it is `schemas.task.TaskEvent` all the same.
"""

from contextlib import suppress
from typing import Any

import nats.errors
import orjson
from nats.aio.client import Client
from pydantic import BaseModel

from schemas import subjects
from schemas.base import now
from schemas.task import TaskEventKind

_AS_MESSAGES = orjson.OPT_UTC_Z | orjson.OPT_SERIALIZE_NUMPY


class Teller:
    """Tells the story of tasks as this worker lives it."""

    def __init__(self, nc: Client, worker_id: str) -> None:
        self._nc = nc
        self._worker_id = worker_id

    async def tell(self, tenant: str, task_id: str, kind: TaskEventKind, data: dict[str, Any] | None = None) -> None:
        """Publish one moment. ``data`` may hold messages of `schemas`. Never raises for an absent bus."""
        event = self.written(tenant, task_id, kind, data)
        with suppress(nats.errors.Error, OSError):
            await self._nc.publish(subjects.event(tenant, task_id), event)

    def written(self, tenant: str, task_id: str, kind: TaskEventKind, data: dict[str, Any] | None = None) -> bytes:
        """One moment, a TaskEvent in JSON."""
        event = {
            "task_id": task_id,
            "tenant": tenant,
            "kind": kind,
            "at": now(),
            "worker_id": self._worker_id,
            "data": data or {},
        }
        return orjson.dumps(event, default=_message, option=_AS_MESSAGES)


def _message(value: object) -> orjson.Fragment:
    if isinstance(value, BaseModel):
        return orjson.Fragment(value.model_dump_json())
    raise TypeError(f"an event tells messages and plain values, not {type(value).__name__}")

"""Publishes the moments of a task's life. Called by `travel` and, through ports.Tell, by the runner.

The steps along the way are published without waiting: the stream keeps them, and losing one in an outage costs a line
of a story that the record tells too. The last event is acknowledged by the bus (`settlement`).
"""

import logging
from contextlib import suppress
from typing import Any

import nats.errors
from nats.aio.client import Client

from schemas import subjects
from schemas.task import TaskEvent, TaskEventKind

logger = logging.getLogger(__name__)


class Teller:
    """Tells the story of tasks as this worker lives it."""

    def __init__(self, nc: Client, worker_id: str) -> None:
        self._nc = nc
        self._worker_id = worker_id

    async def tell(self, tenant: str, task_id: str, kind: TaskEventKind, data: dict[str, Any] | None = None) -> None:
        """Publish one moment. Never raises for an absent bus."""
        event = self.event(tenant, task_id, kind, data)
        with suppress(nats.errors.Error, OSError):
            await self._nc.publish(subjects.event(tenant, task_id), encode(event))

    def event(self, tenant: str, task_id: str, kind: TaskEventKind, data: dict[str, Any] | None = None) -> TaskEvent:
        """One moment, as a message."""
        return TaskEvent(task_id=task_id, tenant=tenant, kind=kind, worker_id=self._worker_id, data=data or {})


def encode(event: TaskEvent) -> bytes:
    """The event as it travels."""
    return event.model_dump_json().encode()

"""Hears people cancel tasks that this worker is doing. The record holds the wish too, for whoever comes later."""

import asyncio
import logging

from nats.aio.client import Client
from nats.aio.msg import Msg

from agents.journey.dead import content_type_of
from schemas import subjects
from schemas.control import ControlAction, ControlMessage
from schemas.wire import decode

logger = logging.getLogger(__name__)


class Controls:
    """Knows which tasks run here, and stops one when its control subject says so."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._running: dict[tuple[str, str], asyncio.Task[object]] = {}
        self._messages: dict[tuple[str, str], int] = {}
        self._cancelled: set[tuple[str, str]] = set()

    async def start(self) -> None:
        """Listen on every task's control subject."""
        await self._nc.subscribe(subjects.CONTROL_ALL, cb=self._hear)

    def message_of(self, tenant: str, task_id: str) -> int | None:
        """The stream sequence of the message for which this worker is doing the task just now; None when it is not."""
        return self._messages.get((tenant, task_id))

    def enter(self, tenant: str, task_id: str, stream_seq: int) -> None:
        """The calling asyncio task starts to do the task, for that message."""
        self._messages[tenant, task_id] = stream_seq
        current = asyncio.current_task()
        if current is not None:
            self._running[tenant, task_id] = current

    def leave(self, tenant: str, task_id: str) -> None:
        """It is done with it."""
        self._running.pop((tenant, task_id), None)
        self._messages.pop((tenant, task_id), None)
        self._cancelled.discard((tenant, task_id))

    def heard_cancel(self, tenant: str, task_id: str) -> bool:
        """Whether the asyncio cancellation that the caller caught was a person's wish, not a shutdown. Counts once."""
        if (tenant, task_id) not in self._cancelled:
            return False
        self._cancelled.discard((tenant, task_id))
        current = asyncio.current_task()
        if current is not None:
            current.uncancel()
        return True

    async def _hear(self, message: Msg) -> None:
        try:
            control = decode(ControlMessage, message.data, content_type_of(message))
        except ValueError as error:
            logger.warning("a control message on %s is not valid: %s", message.subject, error)
            return
        key = (subjects.tenant_of(message.subject), control.task_id)
        running = self._running.get(key)
        if control.action is ControlAction.CANCEL and running is not None and key not in self._cancelled:
            self._cancelled.add(key)
            running.cancel()

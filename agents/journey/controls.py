"""Hears people cancel tasks that this worker is doing. The record holds the wish too, for whoever comes later.

A wish that is told while the worker has no connection goes past it; so after each reconnection the records are asked.
"""

import asyncio
import logging

from nats.aio.client import Client
from nats.aio.msg import Msg

from agents.background_tasks import begun, ended
from agents.errors import BusUnavailable, RecordUnreadable
from agents.journey.dead import content_type_of
from agents.journey.records import TaskRecords
from schemas import subjects
from schemas.control import ControlAction, ControlMessage
from schemas.wire import decode

logger = logging.getLogger(__name__)

LOOK_AGAIN_S = 1.0
_Key = tuple[str, str]


class Controls:
    """Knows which tasks run here, and stops one when its control subject says so."""

    def __init__(self, nc: Client, records: TaskRecords) -> None:
        self._nc = nc
        self._records = records
        self._running: dict[_Key, asyncio.Task[object]] = {}
        self._messages: dict[_Key, int] = {}
        self._cancelled: set[_Key] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Listen on every task's control subject."""
        await self._nc.subscribe(subjects.CONTROL_ALL, cb=self._hear)
        self._tasks = begun((self._look_after_outages,), "controls")

    async def stop(self) -> None:
        """Look no more; what is heard has no task left to cancel."""
        await ended(*self._tasks)

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
        if control.action is ControlAction.CANCEL:
            self._cancel((subjects.tenant_of(message.subject), control.task_id))

    def _cancel(self, key: _Key) -> None:
        running = self._running.get(key)
        if running is not None and key not in self._cancelled:
            self._cancelled.add(key)
            running.cancel()

    async def _look_after_outages(self) -> None:
        looked = self._nc.stats["reconnects"]
        while True:
            await asyncio.sleep(LOOK_AGAIN_S)
            reconnects = self._nc.stats["reconnects"]
            if reconnects != looked and await self._looked():
                looked = reconnects

    async def _looked(self) -> bool:
        """Whether every record could be read: those of tasks here that somebody wants to be cancelled count."""
        await asyncio.sleep(LOOK_AGAIN_S)  # a door writes the record first, and what it tells then may just be lost
        for key in list(self._running):
            try:
                held = await self._records.load(*key)
            except RecordUnreadable:
                continue
            except BusUnavailable as error:
                logger.warning("whether task %s was cancelled in the outage is not known yet: %s", key[1], error)
                return False
            if held is not None and held.record.cancel_requested and not held.record.state.terminal:
                self._cancel(key)
        return True

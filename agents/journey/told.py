"""Whether a task's ending was told already, by the stream of its events. Called by `settlement`."""

from collections.abc import Awaitable

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from agents.errors import BusUnavailable
from schemas import subjects
from schemas.task import TaskEvent, TaskEventKind


async def ending_was_told(js: JetStreamContext, tenant: str, task_id: str) -> bool:
    """Whether the last that a worker told is an ending. Raises BusUnavailable.

    A door that was slow may tell of the acceptance after the ending: then the events are gone through from the first.
    """
    subject = subjects.event(tenant, task_id)
    try:
        last = await _kind(js.get_last_msg(subjects.STREAM_EVENTS, subject))
        if last is None or last[0] is not TaskEventKind.ACCEPTED:
            return last is not None and last[0].terminal
        told, seq = False, 0
        while seq < last[1]:
            found = await _kind(js.get_msg(subjects.STREAM_EVENTS, seq + 1, subject, next=True))
            if found is None:
                break
            kind, seq = found
            told = told if kind is TaskEventKind.ACCEPTED else kind.terminal
    except (nats.errors.Error, OSError) as error:
        raise BusUnavailable(f"the events of task {task_id} cannot be read: {error!r}") from error
    return told


async def _kind(asked: Awaitable[RawStreamMsg]) -> tuple[TaskEventKind, int] | None:
    try:
        message = await asked
    except NotFoundError:
        return None
    return TaskEvent.from_peer(message.data or b"").kind, message.seq or 0

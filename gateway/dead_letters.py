"""Shows what was given up, sends it round again, or lets it go. Called by the doors; `aos dead`.

Redriving resets the record before it publishes: a worker drops a message whose task is over. Whatever step a crash
interrupts, the dead letter is still there and redriving again finishes the job, and the message id is the same.
"""

import base64
import binascii
from contextlib import aclosing
from datetime import datetime

from nats.js import JetStreamContext
from pydantic import BaseModel, ConfigDict

from agents.errors import BusUnavailable
from agents.journey.records import Held
from gateway.bus.clearing import Clearing
from gateway.bus.newest import newest
from gateway.bus.publishing import Publisher
from gateway.bus.stream_reader import Stored, StreamReader
from gateway.errors import NotFound, StateConflict
from gateway.task_ledger import TaskLedger
from schemas import subjects
from schemas.base import Moment, now
from schemas.task import DeadTask, TaskRecord, TaskState, TaskSubmitted
from schemas.wire import decode


class DeadLetter(BaseModel):
    """A dead letter with its number. ``payload`` is left out of lists."""

    model_config = ConfigDict(frozen=True)

    seq: int
    stored_at: Moment
    task_id: str
    tenant: str
    code: str
    reason: str
    attempts: int
    subject: str
    payload: str | None = None
    content_type: str = subjects.CONTENT_JSON


class DeadPage(BaseModel):
    """Some dead letters, newest first. ``cursor`` asks for those before them."""

    model_config = ConfigDict(frozen=True)

    letters: tuple[DeadLetter, ...]
    cursor: str | None = None


class Redriven(BaseModel):
    """A dead letter that went back to the work queue. ``task_id`` is None for work that never became a task."""

    model_config = ConfigDict(frozen=True)

    seq: int
    subject: str
    stream_seq: int
    task_id: str | None


class Purged(BaseModel):
    """How many dead letters are gone for good."""

    model_config = ConfigDict(frozen=True)

    removed: int


class DeadLetters:
    """The dead-letter stream of every tenant. Failures of the bus become BusUnavailable, StoreFull."""

    def __init__(self, js: JetStreamContext, publisher: Publisher, ledger: TaskLedger, reader: StreamReader) -> None:
        self._js = js
        self._publisher = publisher
        self._ledger = ledger
        self._reader = reader

    async def page(self, tenant: str, *, limit: int, before_seq: int | None) -> DeadPage:
        """The newest letters. Raises BusUnavailable."""
        found = await newest(self._reader, subjects.dead(tenant), _listed, limit=limit, before_seq=before_seq)
        return DeadPage(letters=found.items, cursor=str(found.before_seq) if found.before_seq else None)

    async def show(self, tenant: str, seq: int) -> DeadLetter:
        """One letter with its payload. Raises NotFound."""
        return _letter(await self._stored(tenant, seq), with_payload=True)

    async def redrive(self, tenant: str, seq: int) -> Redriven:
        """Send the original message round again and drop the letter. Raises NotFound, StateConflict."""
        letter = _letter(await self._stored(tenant, seq), with_payload=True)
        payload = _original(letter)
        task = _as_task(payload, letter.content_type)
        reset = await self._reset(task) if task is not None else None
        message_id = f"redrive-{letter.task_id}-{seq}"
        receipt = await self._publisher.publish(letter.subject, payload, message_id, letter.content_type)
        if reset is not None:
            owned = reset.record.model_copy(update={"stream_seq": receipt.stream_seq})
            await self._ledger.replace(reset, owned)
        await self._drop(seq, f"the work went back to the queue, but dead letter {seq} is still there")
        task_id = task.task_id if task else None
        return Redriven(seq=seq, subject=letter.subject, stream_seq=receipt.stream_seq, task_id=task_id)

    async def remove(self, tenant: str, seq: int) -> None:
        """Let one letter go: its work can never be redriven. Raises NotFound."""
        await self._stored(tenant, seq)
        await self._drop(seq, "the dead letter cannot be removed")

    async def purge(self, tenant: str, before: datetime) -> Purged:
        """Let go all that were stored before then."""
        removed, last_seq = 0, 0
        async with aclosing(self._reader.since(1, subjects.dead(tenant))) as letters:
            async for stored in letters:
                if stored.stored_at >= before:
                    break
                removed, last_seq = removed + 1, stored.seq
        if removed:
            await Clearing(self._js, subjects.STREAM_DEAD).purge(last_seq + 1, subjects.dead(tenant))
        return Purged(removed=removed)

    async def _reset(self, task: TaskSubmitted) -> Held | None:
        """The record as if the task had just come in; None when there is no record any more."""
        if await self._ledger.find(task.tenant, task.task_id) is None:
            return None
        return await self._ledger.change(task.tenant, task.task_id, _reset)

    async def _stored(self, tenant: str, seq: int) -> Stored:
        stored = await self._reader.one(seq) if seq > 0 else None
        if stored is None or stored.subject != subjects.dead(tenant):
            raise NotFound(
                f"there is no dead letter {seq} of tenant {tenant}",
                code="dead_letter_not_found",
                next_step="GET /v1/dead (aos dead list) shows those there are; one redriven or removed is gone",
            )
        return stored

    async def _drop(self, seq: int, trouble: str) -> None:
        try:
            await Clearing(self._js, subjects.STREAM_DEAD).delete(seq)
        except BusUnavailable as error:
            raise BusUnavailable(f"{trouble}: {error}") from error


def _listed(stored: Stored) -> DeadLetter:
    return _letter(stored, with_payload=False)


def _letter(stored: Stored, *, with_payload: bool) -> DeadLetter:
    dead = DeadTask.from_peer(stored.data)
    return DeadLetter(
        seq=stored.seq,
        stored_at=stored.stored_at,
        task_id=dead.task_id,
        tenant=dead.tenant,
        code=dead.code,
        reason=dead.reason,
        attempts=dead.attempts,
        subject=dead.subject,
        payload=dead.payload if with_payload else None,
        content_type=dead.content_type,
    )


def _original(letter: DeadLetter) -> bytes:
    """The message that was given up. Raises StateConflict when the letter does not say where it belongs."""
    if not letter.subject or letter.payload is None:
        raise StateConflict(f"dead letter {letter.seq} does not say where its message belongs", code="not_redrivable")
    try:
        return base64.b64decode(letter.payload, validate=True)
    except binascii.Error as error:
        raise StateConflict(f"the payload of dead letter {letter.seq} is damaged", code="not_redrivable") from error


def _as_task(payload: bytes, content_type: str) -> TaskSubmitted | None:
    try:
        return decode(TaskSubmitted, payload, content_type)
    except ValueError:
        return None


def _reset(record: TaskRecord) -> TaskRecord:
    if not record.state.terminal and record.stream_seq is not None and record.state is not TaskState.QUEUED:
        raise StateConflict(f"task {record.task_id} is under way: {record.state.value}", code="task_under_way")
    return TaskRecord(
        task_id=record.task_id,
        tenant=record.tenant,
        state=TaskState.QUEUED,
        priority=record.priority,
        submitted_at=record.submitted_at,
        updated_at=now(),
        title=record.title,
        request_digest=record.request_digest,
    )

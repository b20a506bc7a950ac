"""Takes a task in: the one use case behind every door that accepts tasks.

The order is the promise. What is too large goes to the object store first; then the task is published, and the ack of
the bus is the acceptance; then the record is created, so that the task can be asked for at once. With an idempotency
key the record comes first, as a reservation: it decides which of many requests with one key is the first, and knows
the key long after the bus has forgotten the message id.
"""

import hashlib
import logging
from contextlib import suppress
from dataclasses import dataclass

import nats.errors
import orjson
from nats.aio.client import Client

from agents.errors import BusUnavailable
from agents.journey.records import Held
from gateway.bus.publishing import Publisher, Receipt
from gateway.claim_check import ClaimCheck
from gateway.content_check import ContentCheck
from gateway.errors import IdempotencyConflict, StoreFull, TaskRefused
from gateway.task_draft import TaskDraft, submitted
from gateway.task_ledger import TaskLedger
from schemas import subjects
from schemas.base import id_from_key, new_id
from schemas.task import TaskEvent, TaskEventKind, TaskRecord, TaskState, TaskSubmitted

logger = logging.getLogger(__name__)

_LONGEST_KEY = 255


@dataclass(frozen=True, slots=True)
class Accepted:
    """A task that will not be lost. ``repeated``: an earlier request with the same key had brought it in."""

    record: TaskRecord
    repeated: bool = False


class Admission:
    """Accepts tasks. Safe for concurrent use."""

    def __init__(
        self,
        nc: Client,
        publisher: Publisher,
        ledger: TaskLedger,
        claim_check: ClaimCheck,
        content_check: ContentCheck,
    ) -> None:
        self._nc = nc
        self._publisher = publisher
        self._ledger = ledger
        self._claim_check = claim_check
        self._content_check = content_check

    async def admit(
        self, tenant: str, draft: TaskDraft, *, task_id: str, idempotency_key: str | None = None
    ) -> Accepted:
        """Accept the task under ``task_id`` (see ``identify``).

        Raises TaskRefused, UnreadablePart, IdempotencyConflict, TooLarge, StoreFull, BusUnavailable, Overloaded and the
        errors of the object store; after any of them the task is not accepted, and trying again with the same key is
        safe.
        """
        parts = await self._claim_check.check_in(draft.all_parts())
        await self._content_check.check(parts)
        task = submitted(draft, tenant, task_id, parts)
        if idempotency_key is None:
            receipt = await self._publish(task)
            return await self._remember(_queued(task, draft.title(), receipt.stream_seq), receipt)
        reserved = await self._reserve(task, draft)
        if reserved.record.stream_seq is not None or reserved.record.state is not TaskState.QUEUED:
            return Accepted(reserved.record, repeated=True)
        receipt = await self._publish(task)
        return await self._confirm(reserved, receipt)

    async def _publish(self, task: TaskSubmitted) -> Receipt:
        subject = subjects.submit(task.tenant, task.priority)
        return await self._publisher.publish(subject, task.model_dump_json().encode(), task.task_id)

    async def _remember(self, record: TaskRecord, receipt: Receipt) -> Accepted:
        """From here the task is accepted: a record that cannot be stored now is created by the worker."""
        await self._announce(record, receipt)
        try:
            await self._ledger.create(record)
        except (BusUnavailable, StoreFull) as error:
            logger.warning("task %s is accepted, but not yet on record: %s", record.task_id, error)
        return Accepted(record)

    async def _reserve(self, task: TaskSubmitted, draft: TaskDraft) -> Held:
        """The record under this key: a new one, or the one that an earlier request made."""
        digest = digest_of(draft)
        record = _queued(task, draft.title(), None).model_copy(update={"request_digest": digest})
        held = await self._ledger.reserve(record)
        if held.record.request_digest not in (None, digest):
            raise IdempotencyConflict(f"the Idempotency-Key belongs to task {task.task_id}, which had another body")
        return held

    async def _confirm(self, reserved: Held, receipt: Receipt) -> Accepted:
        """Write down which message owns the task, unless a worker did already."""
        record = reserved.record.model_copy(update={"stream_seq": receipt.stream_seq})
        await self._announce(record, receipt)
        try:
            await self._ledger.replace(reserved, record)
        except (BusUnavailable, StoreFull) as error:
            logger.warning("task %s is accepted, but its record does not say so yet: %s", record.task_id, error)
        return Accepted(record, repeated=receipt.duplicate)

    async def _announce(self, record: TaskRecord, receipt: Receipt) -> None:
        """Publish the task's first event, without waiting: losing it costs a line of a story the record tells too."""
        if receipt.duplicate:
            return
        event = TaskEvent(
            task_id=record.task_id,
            tenant=record.tenant,
            kind=TaskEventKind.ACCEPTED,
            data={"priority": record.priority.value, "title": record.title},
        )
        with suppress(nats.errors.Error, OSError):
            await self._nc.publish(subjects.event(record.tenant, record.task_id), event.model_dump_json().encode())


def identify(tenant: str, idempotency_key: str | None) -> str:
    """The id that a task will have: the key's own when there is one. Raises TaskRefused for a useless key."""
    if idempotency_key is None:
        return new_id()
    if not idempotency_key.strip() or len(idempotency_key) > _LONGEST_KEY:
        raise TaskRefused(f"an Idempotency-Key has 1 to {_LONGEST_KEY} characters", code="idempotency_key_invalid")
    return id_from_key(tenant, idempotency_key)


def digest_of(draft: TaskDraft) -> str:
    """The same for two requests that ask for the same thing, however their JSON is written."""
    canonical = orjson.dumps(draft.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
    return f"sha256:{hashlib.sha256(canonical).hexdigest()}"


def _queued(task: TaskSubmitted, title: str, stream_seq: int | None) -> TaskRecord:
    return TaskRecord(
        task_id=task.task_id,
        tenant=task.tenant,
        state=TaskState.QUEUED,
        priority=task.priority,
        stream_seq=stream_seq,
        submitted_at=task.submitted_at,
        title=title,
    )

"""The task's durable record in the ``aos_tasks`` bucket, changed only by compare-and-set. Called by `travel`.

Doors change the record too (cancel, approve), so every change is a function that can be applied again to what is
there now.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import nats.errors
import nats.js.errors
from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue
from pydantic import ValidationError

from agents.errors import BusUnavailable, RecordTooLarge, RecordUnreadable
from schemas.base import now
from schemas.subjects import record_key
from schemas.task import TaskRecord

Change = Callable[[TaskRecord], TaskRecord]

RECORD_BYTES = 1_000_000
"""Of one record: it is read and written several times in a task, and a bus as it comes takes messages of 1 MB."""
TRIES = 20
_PAUSE_S = 0.01


@dataclass(frozen=True, slots=True)
class Held:
    """A record as it was last seen, with the revision that a change must meet."""

    record: TaskRecord
    revision: int


def pause_s(attempt: int) -> float:
    """How long to wait before looking again, about 2 s in all ``TRIES``.

    A cluster refuses a write at once while another one of the same record is on its way to its copies.
    """
    return _PAUSE_S * attempt


class TaskRecords:
    """Reads and changes records. Every failure of the bus becomes BusUnavailable; see ``change`` for RecordTooLarge."""

    def __init__(self, bucket: KeyValue) -> None:
        self._bucket = bucket

    async def load(self, tenant: str, task_id: str) -> Held | None:
        """The record as it stands, or None when there is none yet. Raises RecordUnreadable."""
        found, revision = await self._find(tenant, task_id)
        return None if found is None else Held(found, revision)

    async def change(self, held: Held, change: Change) -> Held:
        """Apply ``change`` and store the outcome, again on top of what others stored meanwhile.

        Raises BusUnavailable, RecordUnreadable, and RecordTooLarge when the outcome is larger than a message may be.
        """
        for attempt in range(TRIES):
            changed = change(held.record).model_copy(update={"updated_at": now()})
            revision = await self._store(changed, held.revision)
            if revision is not None:
                return Held(changed, revision)
            await asyncio.sleep(pause_s(attempt))
            found, revision = await self._find(changed.tenant, changed.task_id)
            held = Held(found or changed, revision)
        raise BusUnavailable(f"the record of task {held.record.task_id} changes too fast to be stored")

    async def _find(self, tenant: str, task_id: str) -> tuple[TaskRecord | None, int]:
        """The record, if any, and the revision that a change must meet: of its removal, where it was removed."""
        try:
            entry = await self._bucket.get(record_key(tenant, task_id), validate_keys=False)
        except KeyNotFoundError as missing:
            return None, (missing.entry.revision or 0) if missing.entry else 0
        except (nats.errors.Error, OSError) as error:
            raise BusUnavailable(f"the record of task {task_id} cannot be read: {error!r}") from error
        try:
            return TaskRecord.from_peer(entry.value or b""), entry.revision or 0
        except ValidationError as error:
            raise RecordUnreadable(f"the record of task {task_id} does not read as one: {error}") from error

    async def _store(self, record: TaskRecord, revision: int) -> int | None:
        key = record_key(record.tenant, record.task_id)
        value = record.model_dump_json(exclude_defaults=True).encode()
        if len(value) > RECORD_BYTES:
            raise _too_large(record, len(value))
        try:
            return await self._bucket.update(key, value, last=revision, validate_keys=False)
        except KeyWrongLastSequenceError:
            return None
        except nats.errors.MaxPayloadError as error:
            raise _too_large(record, len(value)) from error
        except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
            raise BusUnavailable(f"the record of task {record.task_id} cannot be stored: {error!r}") from error


def _too_large(record: TaskRecord, size_bytes: int) -> RecordTooLarge:
    problem = f"the record of task {record.task_id} has {size_bytes} bytes, more than is kept of one"
    return RecordTooLarge(f"{problem}: answer with fewer, larger parts")

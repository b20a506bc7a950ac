"""What the doors know of tasks: the records in the ``aos_tasks`` bucket, read, created and listed.

Changes go through the same compare-and-set as the workers' (`agents.journey.records`).
"""

import asyncio
from typing import Self

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import KeyWrongLastSequenceError
from nats.js.kv import KeyValue
from pydantic import BaseModel, ConfigDict

from agents.errors import BusUnavailable
from agents.journey.records import TRIES, Change, Held, TaskRecords, pause_s
from gateway.bus.newest import newest
from gateway.bus.publishing import refusal_of
from gateway.bus.stream_reader import Stored, StreamReader
from gateway.errors import TaskNotFound
from schemas.base import Moment, Token
from schemas.subjects import BUCKET_TASKS, record_key
from schemas.task import Priority, TaskFailure, TaskRecord, TaskState


class TaskSummary(BaseModel):
    """A task as lists show it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task_id: Token
    tenant: Token
    state: TaskState
    priority: Priority = Priority.NORMAL
    title: str = ""
    submitted_at: Moment
    updated_at: Moment
    worker_id: str | None = None
    deliveries: int = 0
    cancel_requested: bool = False
    failure: TaskFailure | None = None


class TaskPage(BaseModel):
    """Some tasks, the most recently changed first. ``cursor`` asks for those before them; None when that was all."""

    model_config = ConfigDict(frozen=True)

    tasks: tuple[TaskSummary, ...]
    cursor: str | None = None


class TaskLedger:
    """Records as a door uses them. Safe for concurrent use; failures of the bus become BusUnavailable or StoreFull."""

    def __init__(self, bucket: KeyValue, reader: StreamReader) -> None:
        self._bucket = bucket
        self._records = TaskRecords(bucket)
        self._reader = reader

    @classmethod
    async def open(cls, nc: Client, js: JetStreamContext) -> Self:
        """The ledger over the bucket of this bus."""
        return cls(await js.key_value(BUCKET_TASKS), StreamReader(nc, f"KV_{BUCKET_TASKS}"))

    async def find(self, tenant: str, task_id: str) -> Held | None:
        """The record with its revision, or None."""
        return await self._records.load(tenant, task_id)

    async def get(self, tenant: str, task_id: str) -> Held:
        """The record with its revision. Raises TaskNotFound."""
        held = await self.find(tenant, task_id)
        if held is None:
            raise TaskNotFound(f"there is no task {task_id} of tenant {tenant}")
        return held

    async def create(self, record: TaskRecord) -> Held | None:
        """Store a record that is not there yet; None when it is."""
        revision = await self._store(record, 0)
        return None if revision is None else Held(record, revision)

    async def reserve(self, record: TaskRecord) -> Held:
        """The record that is there under its id, or else this one, stored. Raises BusUnavailable, StoreFull."""
        for attempt in range(TRIES):
            held = await self.find(record.tenant, record.task_id) or await self.create(record)
            if held is not None:
                return held
            # A cluster refuses the later of two writers before what the earlier one wrote can be read.
            await asyncio.sleep(pause_s(attempt))
        raise BusUnavailable(f"the record of task {record.task_id} is being written by somebody else; try again")

    async def replace(self, held: Held, record: TaskRecord) -> Held | None:
        """Store a new version unless somebody else did meanwhile; None when somebody did."""
        revision = await self._store(record, held.revision)
        return None if revision is None else Held(record, revision)

    async def change(self, tenant: str, task_id: str, change: Change) -> Held:
        """Apply ``change`` to the record as it stands when it is stored. Raises TaskNotFound and what it raises."""
        return await self._records.change(await self.get(tenant, task_id), change)

    async def page(self, tenant: str, *, state: TaskState | None, limit: int, before_seq: int | None) -> TaskPage:
        """The most recently changed tasks, perhaps only those in one state. Raises BusUnavailable."""

        def pick(stored: Stored) -> TaskSummary | None:
            summary = None if stored.deleted else TaskSummary.model_validate_json(stored.data)
            return summary if summary is not None and state in (None, summary.state) else None

        subject = f"$KV.{BUCKET_TASKS}.{tenant}.*"
        found = await newest(self._reader, subject, pick, limit=limit, before_seq=before_seq)
        return TaskPage(tasks=found.items, cursor=str(found.before_seq) if found.before_seq else None)

    async def _store(self, record: TaskRecord, revision: int) -> int | None:
        key = record_key(record.tenant, record.task_id)
        value = record.model_dump_json(exclude_defaults=True).encode()
        try:
            return await self._bucket.update(key, value, last=revision, validate_keys=False)
        except KeyWrongLastSequenceError:
            return None
        except (nats.errors.Error, OSError) as error:
            refusal = refusal_of(error)
            if refusal is not None:
                raise refusal from error
            raise BusUnavailable(f"the record of task {record.task_id} cannot be stored: {error!r}") from error

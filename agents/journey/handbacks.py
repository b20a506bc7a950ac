"""Remembers how often a task went back to the queue for no fault of its own. Called by `dispatch`.

The bus counts every delivery, and a task that was delivered too often is taken for one that kills its workers. Those
that stopped of their own will are no victims, however often a deployment is rolled out while the task waits, and nor
are those that had to wait for the object store, the index or the encoders.
"""

import asyncio
from contextlib import suppress

from agents.errors import BusUnavailable, RecordTooLarge
from agents.journey.changes import new_record
from agents.journey.records import Held, TaskRecords
from schemas.task import TaskRecord, TaskSubmitted

LONGEST_S = 2.0


class Handbacks:
    """Counts on the task's record, which every worker sees."""

    def __init__(self, records: TaskRecords) -> None:
        self._records = records

    async def count(self, task: TaskSubmitted) -> int:
        """How many of the task's deliveries were given back. Raises BusUnavailable."""
        held = await self._records.load(task.tenant, task.task_id)
        return held.record.given_back if held else 0

    async def add(self, task: TaskSubmitted) -> None:
        """One more. Where the bus does not take it, this delivery counts as a try: better than to wait now."""
        with suppress(BusUnavailable, RecordTooLarge, TimeoutError):
            async with asyncio.timeout(LONGEST_S):
                held = await self._records.load(task.tenant, task.task_id)
                await self._records.change(held or Held(new_record(task), 0), _given_back)


def _given_back(record: TaskRecord) -> TaskRecord:
    return record.model_copy(update={"given_back": record.given_back + 1})

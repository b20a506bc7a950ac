"""Experience kept in this process only: for dry runs and tests. What the port says, less the survival of power loss."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from evolution.errors import ExperienceStoreUnavailable
from evolution.ports import ExperienceQuery, Recorded, Spoken
from evolution.validity import check_feedback, check_record
from schemas.base import new_id
from schemas.experience import ExperienceRecord, Feedback

Key = tuple[str, str]
"""Tenant, and the id of the record or feedback."""


class MemoryExperienceStore:
    """ExperienceStore in memory. At ``capacity`` records (or as many feedbacks) it refuses more, and forgets none."""

    def __init__(self, capacity: int = 100_000) -> None:
        self._capacity = capacity
        self._name = new_id()
        self._records: dict[Key, ExperienceRecord] = {}
        self._feedback: dict[Key, Feedback] = {}
        self._stored = asyncio.Event()

    async def record(self, records: Sequence[ExperienceRecord]) -> int:
        """All or none."""
        new: dict[Key, ExperienceRecord] = {}
        for record in records:
            check_record(record)
            if (record.tenant, record.record_id) not in self._records:
                new.setdefault((record.tenant, record.record_id), record)
        self._check_room(len(self._records) + len(new))
        self._records.update(new)
        stored, self._stored = self._stored, asyncio.Event()
        stored.set()
        return len(new)

    async def add_feedback(self, feedback: Sequence[Feedback]) -> int:
        """All or none."""
        new: dict[Key, Feedback] = {}
        for item in feedback:
            check_feedback(item)
            if (item.tenant, item.feedback_id) not in self._feedback:
                new.setdefault((item.tenant, item.feedback_id), item)
        self._check_room(len(self._feedback) + len(new))
        self._feedback.update(new)
        return len(new)

    async def find(self, query: ExperienceQuery) -> list[ExperienceRecord]:
        """Newest first."""
        return list(reversed(self._oldest_first(query)))[: query.limit]

    async def scan(self, query: ExperienceQuery, batch_rows: int = 1000) -> AsyncIterator[list[ExperienceRecord]]:
        """Oldest first."""
        found = self._oldest_first(query)
        for start in range(0, len(found), batch_rows):
            yield found[start : start + batch_rows]

    async def feedback_by_task(self, tenant: str, task_ids: Collection[str]) -> dict[str, list[Feedback]]:
        """Oldest first."""
        found: dict[str, list[Feedback]] = {task_id: [] for task_id in task_ids}
        for feedback in sorted(self._feedback.values(), key=lambda f: f.at):
            if feedback.tenant == tenant and feedback.task_id in found:
                found[feedback.task_id].append(feedback)
        return found

    async def spoken_of(self, tenant: str, cursor: str | None) -> Spoken:
        """Counts feedback as it came; a cursor of another process's store is none."""
        here = f"memory.{self._name}.{len(self._feedback)}"
        store, _, count = (cursor or "").rpartition(".")
        if store != f"memory.{self._name}" or not count.isdecimal():
            return Spoken(here, None)
        came = islice(self._feedback.values(), int(count), None)
        return Spoken(here, frozenset(feedback.task_id for feedback in came if feedback.tenant == tenant))

    async def recorded_since(self, tenant: str, cursor: str | None) -> Recorded:
        """Counts records as they came."""
        here = f"memory.{self._name}.{len(self._records)}"
        store, _, count = (cursor or "").rpartition(".")
        if store != f"memory.{self._name}" or not count.isdecimal():
            return Recorded(here, None)
        came = islice(self._records.values(), int(count), None)
        return Recorded(here, [record for record in came if record.tenant == tenant])

    async def tail(self, query: ExperienceQuery, latest: int = 0) -> AsyncIterator[ExperienceRecord]:
        """In order of storing."""
        seen = 0 if query.since is not None else len(self._records)
        if latest and query.since is None:
            for record in self._oldest_first(replace(query, until=None))[-latest:]:
                yield record
        while True:
            stored = self._stored
            arrived = list(islice(self._records.values(), seen, None))
            seen += len(arrived)
            for record in arrived:
                if matches(record, query):
                    yield record
            if not arrived:
                await stored.wait()

    async def count(
        self, tenant: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> int:
        """How many records are kept."""
        return len(self._oldest_first(ExperienceQuery(tenant=tenant, since=since, until=until)))

    async def tenants(self) -> list[str]:
        """Those of its records."""
        return sorted({tenant for tenant, _ in self._records})

    async def close(self) -> None:
        """Nothing to release."""

    def _oldest_first(self, query: ExperienceQuery) -> list[ExperienceRecord]:
        return sorted((r for r in self._records.values() if matches(r, query)), key=lambda r: r.at)

    def _check_room(self, size: int) -> None:
        if size > self._capacity:
            raise ExperienceStoreUnavailable(f"the memory store holds its {self._capacity} items; use a durable one")


def matches(record: ExperienceRecord, query: ExperienceQuery) -> bool:
    """Whether the query asks for this record (``limit`` aside)."""
    return (
        query.tenant in (None, record.tenant)
        and (query.since is None or record.at >= query.since)
        and (query.until is None or record.at < query.until)
        and query.task_id in (None, record.task_id)
        and (query.agent_id is None or query.agent_id in record.chosen)
        and query.success in (None, record.success)
        and query.policy in (None, record.policy)
    )

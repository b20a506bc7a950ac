"""The experience store over both tiers: what is hot comes from the embedded file, what is cold from the object store.

Wraps the embedded store; writes, feedback and following are its own. Put around it by the wiring.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from evolution.errors import ColdFileDamaged
from evolution.ports import ExperienceQuery, ExperienceStore, Recorded, Spoken
from evolution.privacy.guard import OPEN, Guard
from evolution.store import sqlite_rows, sqlite_schema
from evolution.store.memory_store import matches
from evolution.store.moments import microseconds
from evolution.store.sqlite_advice import advice
from evolution.tiers.cold_files import ColdFile, ColdFiles
from evolution.tiers.cold_names import cold_files
from evolution.tiers.cold_rows import from_parquet
from evolution.tiers.embedded_file import query as query_rows
from evolution.tiers.joining import DAY_US
from schemas.experience import ExperienceRecord, Feedback

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

READ = ("record", "vector", "at_us", "seq")
READ_OF_TASK = (*READ, "task_id")


class _Replaced(ColdFileDamaged):
    """Not damaged: another file took its place, or its time was over, while it was about to be read. Look again."""


class TieredStore:
    """ExperienceStore. A damaged cold file is said once as ColdFileDamaged, set aside, and passed over from then on."""

    def __init__(self, hot: ExperienceStore, path: Path, cold: ColdFiles, guard: Guard = OPEN) -> None:
        self._hot = hot
        self._path = path
        self._cold = cold
        self._guard = guard

    async def record(self, records: Sequence[ExperienceRecord]) -> int:
        """Into the hot tier."""
        return await self._hot.record(records)

    async def add_feedback(self, feedback: Sequence[Feedback]) -> int:
        """Into the hot tier, where feedback stays."""
        return await self._hot.add_feedback(feedback)

    async def feedback_by_task(self, tenant: str, task_ids: Collection[str]) -> dict[str, list[Feedback]]:
        """Oldest first; of tasks whose records are cold too."""
        return await self._hot.feedback_by_task(tenant, task_ids)

    async def spoken_of(self, tenant: str, cursor: str | None) -> Spoken:
        """By the hot tier, where feedback stays."""
        return await self._hot.spoken_of(tenant, cursor)

    async def recorded_since(self, tenant: str, cursor: str | None) -> Recorded:
        """By the hot tier, where records come in; what moves on from there shows by its count."""
        return await self._hot.recorded_since(tenant, cursor)

    async def find(self, query: ExperienceQuery) -> list[ExperienceRecord]:
        """Newest first; cold files are read only as far as the hot tier does not fill the limit."""
        while True:
            try:
                return await self._find(query)
            except _Replaced:
                continue

    async def _find(self, query: ExperienceQuery) -> list[ExperienceRecord]:
        found = await self._hot.find(query)
        for file in reversed(await self._files(query)):
            if len(found) >= query.limit and microseconds(found[query.limit - 1].at) > file.last_us:
                continue
            found = _merged(found, await self._read(file, query))[::-1][: query.limit]
        return found[: query.limit]

    async def scan(self, query: ExperienceQuery, batch_rows: int = 1000) -> AsyncIterator[list[ExperienceRecord]]:
        """Day by day as long as there are cold files, then the hot tier. Memory is that of one day.

        What goes from tier to tier while it reads is read once: wherever a file came up, its day is next.
        """
        read: set[tuple[str, str]] = set()  # records of the very moment where the query begins
        while query.since is None or query.until is None or query.since < query.until:
            if files := await self._files(query):
                day, until = await self._day(query, files[0])
                fresh = [record for record in day if _name(record) not in read]
                for start in range(0, len(fresh), batch_rows):
                    yield fresh[start : start + batch_rows]
                query, read = replace(query, since=until), set()
                continue
            async for records in self._hot.scan(query, batch_rows):
                if await self._files(query):
                    break
                if fresh := [record for record in records if _name(record) not in read]:
                    yield fresh
                last = records[-1].at
                read = {_name(record) for record in records if record.at == last} | (
                    read if last == query.since else set()
                )
                query = replace(query, since=last)
            else:
                return

    async def _day(self, query: ExperienceQuery, first: ColdFile) -> tuple[list[ExperienceRecord], datetime]:
        """Everything up to the end of that file's day, oldest first, and when that is."""
        until = _moment(first.first_us - first.first_us % DAY_US + DAY_US)
        bounded = replace(query, until=until if query.until is None else min(until, query.until))
        while True:
            hot = [record async for records in self._hot.scan(bounded) for record in records]
            try:  # listed after the hot tier was read: what is not there any more is in a file
                cold = [record for file in await self._files(bounded) for record in await self._read(file, bounded)]
            except _Replaced:
                continue
            return _merged(hot, cold), until

    async def tail(self, query: ExperienceQuery, latest: int = 0) -> AsyncIterator[ExperienceRecord]:
        """Cold records first when it starts in the past, then the hot tier in order of storing."""
        if latest and query.since is None:
            asked = replace(query, until=None, limit=latest)
            hot = {(record.tenant, record.record_id) for record in await self._hot.find(asked)}
            for record in reversed(await self.find(asked) if len(hot) < latest else []):
                if (record.tenant, record.record_id) not in hot:
                    yield record
        if query.since is not None:
            for file in await self._files(replace(query, until=None)):
                for record in await self._read(file, replace(query, until=None)):
                    yield record
        async for record in self._hot.tail(query, latest):
            yield record

    async def count(
        self, tenant: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> int:
        """Hot rows counted, cold ones as their files are noted; of a file that reaches out of the time, the moments."""
        query = ExperienceQuery(tenant, since, until)
        while True:
            try:
                cold = sum([await self._counted(file, query) for file in await self._files(query)])
            except _Replaced:
                continue
            return await self._hot.count(tenant, since, until) + cold

    async def _counted(self, file: ColdFile, query: ExperienceQuery) -> int:
        inside = (query.since is None or _moment(file.first_us) >= query.since) and (
            query.until is None or _moment(file.last_us) < query.until
        )
        if inside:
            return file.rows
        moments = await self._whole(file, lambda content: from_parquet(content, ("at_us",)))
        since_us = 0 if query.since is None else microseconds(query.since)
        until_us = file.last_us + 1 if query.until is None else microseconds(query.until)
        return sum(since_us <= at_us < until_us for (at_us,) in moments)

    async def tenants(self) -> list[str]:
        """Those of either tier."""
        files = await self._files(ExperienceQuery())
        return sorted({*await self._hot.tenants(), *(file.tenant for file in files)})

    async def close(self) -> None:
        """Release the hot tier."""
        await self._hot.close()

    async def _files(self, query: ExperienceQuery) -> list[ColdFile]:
        """Those that may hold what is asked for, oldest first."""
        if not await asyncio.to_thread(sqlite_schema.is_there, self._path):
            return []
        found = await asyncio.to_thread(self._listed, query.tenant)
        since_us = None if query.since is None else microseconds(query.since)
        until_us = None if query.until is None else microseconds(query.until)
        wanted = [
            file
            for file in found
            if (since_us is None or file.last_us >= since_us) and (until_us is None or file.first_us < until_us)
        ]
        return sorted(wanted, key=lambda file: (file.first_us, file.key))

    def _listed(self, tenant: str | None) -> list[ColdFile]:
        with closing(sqlite_schema.open_for_reading(self._path)) as connection:
            [(version,)] = query_rows(connection, "PRAGMA user_version")
            # A file of an older release that nobody has written to yet has no cold tier.
            return cold_files(connection, tenant) if version >= len(sqlite_schema.MIGRATIONS) else []

    async def _read(self, file: ColdFile, query: ExperienceQuery) -> list[ExperienceRecord]:
        """The file's records that are asked for, oldest first."""
        found = await self._whole(file, lambda content: self._records(content, query.task_id))
        return [record for record in found if matches(record, query)]

    async def _whole(self, file: ColdFile, read: Callable[[bytes], list[Result]]) -> list[Result]:
        """What is read of a file; nothing of one that was set aside, which counts again once restored."""
        try:
            found = await asyncio.to_thread(lambda: read(self._cold.get(file)))
        except ColdFileDamaged as damage:
            if file.key not in {each.key for each in await asyncio.to_thread(self._listed, file.tenant)}:
                raise _Replaced(str(damage)) from damage
            if file.problem is not None:
                logger.warning("cold file %s is passed over: %s", file.key, file.problem)
                return []
            await asyncio.to_thread(self._note, file, str(damage))
            raise
        if file.problem is not None:
            logger.warning("cold file %s is whole again", file.key)
            await asyncio.to_thread(self._note, file, None)
        return found

    def _records(self, content: bytes, task_id: str | None) -> list[ExperienceRecord]:
        # One column tells whether the task is in there at all: the others take twenty times as long.
        if task_id is not None and (task_id,) not in from_parquet(content, ("task_id",)):
            return []
        rows = from_parquet(content, READ_OF_TASK)
        # Of thousands of rows only the task's own are worth reading as records.
        wanted = (row[: len(READ)] for row in rows if task_id in (None, row[-1]))
        read = (sqlite_rows.read(row, self._guard).record for row in wanted)
        return [record for record in read if record is not None]

    def _note(self, file: ColdFile, problem: str | None) -> None:
        try:
            with closing(sqlite_schema.open_for_writing(self._path)) as connection:
                connection.execute("UPDATE cold_file SET problem = ? WHERE key = ? AND rows > 0", (problem, file.key))
        except sqlite3.Error as error:
            logger.warning("what became of cold file %s is not noted: %s", file.key, advice(error))


def _merged(hot: Sequence[ExperienceRecord], cold: Sequence[ExperienceRecord]) -> list[ExperienceRecord]:
    """Each record once, oldest first."""
    found = {_name(record): record for record in (*cold, *hot)}
    return sorted(found.values(), key=lambda record: record.at)


def _name(record: ExperienceRecord) -> tuple[str, str]:
    return record.tenant, record.record_id


def _moment(at_us: int) -> datetime:
    return datetime.fromtimestamp(at_us / 1e6, UTC)

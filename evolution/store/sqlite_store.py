"""The embedded experience store: one SQLite file that survives power loss. Built by the wiring of the evolution role.

WAL lets any number of processes read while one writes; ``synchronous=FULL`` makes every returned write durable, and
group commit pays its fsync once for all callers that wait at the moment. Two writing processes are safe, though the
evolution role is meant to be the only one. Why SQLite: docs/decisions/0003-embedded-experience-store.md.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from itertools import chain
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TypeVar

from evolution.errors import ExperienceStoreUnavailable
from evolution.ports import ExperienceQuery, Recorded, Spoken
from evolution.privacy.guard import OPEN, Guard
from evolution.store import said, sqlite_recorded, sqlite_rows, sqlite_schema, sqlite_spoken
from evolution.store.group_commit import GroupCommit
from evolution.store.latest import Latest
from evolution.store.sqlite_advice import advice
from evolution.store.sqlite_writing import Inserted, Item, insert, prepare
from schemas.experience import ExperienceRecord, Feedback

READERS = 4
TAIL_BATCH_ROWS = 500
TAIL_IDLE_MIN_S = 0.01
TAIL_IDLE_MAX_S = 0.25

Result = TypeVar("Result")


class SqliteExperienceStore:
    """ExperienceStore over one file. ``max_bytes`` bounds it: beyond, writes raise ExperienceStoreUnavailable.

    With ``read_only`` (the CLI beside a running gateway) nothing is created and writes are refused. ``guard`` redacts
    and seals.
    """

    def __init__(
        self, path: Path, *, max_bytes: int | None = None, read_only: bool = False, guard: Guard = OPEN
    ) -> None:
        self._path = path
        self._guard = guard
        self._max_bytes = max_bytes
        self._read_only = read_only
        self._writer: sqlite3.Connection | None = None
        self._ready = read_only
        self._idle_readers: SimpleQueue[sqlite3.Connection] = SimpleQueue()
        self._write_thread = ThreadPoolExecutor(1, "experience-writer")
        self._read_threads = ThreadPoolExecutor(READERS, "experience-reader")
        self._commits: GroupCommit[Item] = GroupCommit(self._write_groups)
        self._stored = asyncio.Event()
        self._latest = Latest()

    async def record(self, records: Sequence[ExperienceRecord]) -> int:
        """Durable when it returns."""
        return await self._submit(records)

    async def add_feedback(self, feedback: Sequence[Feedback]) -> int:
        """Durable when it returns."""
        return await self._submit(feedback)

    async def find(self, query: ExperienceQuery) -> list[ExperienceRecord]:
        """Newest first; of one moment, the one stored last comes first."""
        return [row.record for row in await self._read_records(*sqlite_rows.newest(query)) if row.record]

    async def scan(self, query: ExperienceQuery, batch_rows: int = 1000) -> AsyncIterator[list[ExperienceRecord]]:
        """Keyset paging: constant memory, and no lock between two batches."""
        after = (-(2**63), 0)
        while True:
            rows = await self._read_records(*sqlite_rows.oldest_after(query, after, batch_rows))
            if rows:
                yield [row.record for row in rows if row.record]
                after = (rows[-1].at_us, rows[-1].seq)
            if len(rows) < batch_rows:
                return

    async def feedback_by_task(self, tenant: str, task_ids: Collection[str]) -> dict[str, list[Feedback]]:
        """Oldest first; a question for each lot of tasks, so that no number of them is too large."""
        return await self._in_reader(partial(self._said, tenant, task_ids))

    async def spoken_of(self, tenant: str, cursor: str | None) -> Spoken:
        """By the number of each row of feedback: numbers are given in the order of commits, and never twice."""
        return await self._in_reader(partial(sqlite_spoken.spoken_of, self._fetch, tenant, cursor))

    async def recorded_since(self, tenant: str, cursor: str | None) -> Recorded:
        """By the number of each row, as in ``spoken_of``."""
        here, span = await self._in_reader(partial(sqlite_recorded.span_since, self._fetch, cursor))
        if span is None:
            return Recorded(here, None)
        read = await self._read_records(*sqlite_rows.stored_between(tenant, *span)) if span[1] > span[0] else []
        return Recorded(here, [row.record for row in read if row.record])

    async def tail(self, query: ExperienceQuery, latest: int = 0) -> AsyncIterator[ExperienceRecord]:
        """Polls the sequence number, at once after a write of this process, every 10 to 250 ms for those of others."""
        [(last,)] = await self._read(*sqlite_rows.beginning(query))
        if latest and query.since is None:
            for row in reversed(await self._read_records(*sqlite_rows.newest_until(query, last, latest))):
                if row.record:
                    yield row.record
        with self._latest.followed():
            async for record in self._stored_after(query, last):
                yield record

    async def _stored_after(self, query: ExperienceQuery, last: int) -> AsyncIterator[ExperienceRecord]:
        idle_s = TAIL_IDLE_MIN_S
        while True:
            stored = self._stored
            rows = await self._in_reader(partial(self._following, query, last))
            for row in rows:
                if row.record:
                    yield row.record
            if rows:
                last, idle_s = rows[-1].seq, TAIL_IDLE_MIN_S
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(stored.wait(), idle_s)
            idle_s = min(2 * idle_s, TAIL_IDLE_MAX_S)

    def _following(self, query: ExperienceQuery, last: int) -> list[sqlite_rows.Read]:
        """The next rows: those that this process stored a moment ago are not read again, only that they are there."""
        keys = self._fetch(*sqlite_rows.stored_after(query, last, TAIL_BATCH_ROWS, sqlite_rows.KEYS))
        records = self._latest.of([(seq, tenant, record_id) for _, seq, tenant, record_id in keys])
        if records is None:
            return self._records(*sqlite_rows.stored_after(query, last, TAIL_BATCH_ROWS))
        stored = zip(records, keys, strict=True)
        return [sqlite_rows.Read(self._guard.opened(record), at_us, seq) for record, (at_us, seq, *_) in stored]

    def _said(self, tenant: str, task_ids: Collection[str]) -> dict[str, list[Feedback]]:
        asked = (sqlite_rows.feedback_of(tenant, lot) for lot in said.lots(task_ids))
        return said.by_task(task_ids, (body for select in asked for (body,) in self._fetch(*select)), self._guard)

    def _records(self, sql: str, values: Sequence[object]) -> list[sqlite_rows.Read]:
        return [sqlite_rows.read(row, self._guard) for row in self._fetch(sql, values)]

    async def count(
        self, tenant: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> int:
        """Counts an index, not the rows."""
        [(count,)] = await self._read(*sqlite_rows.count(ExperienceQuery(tenant, since, until)))
        return int(count)

    async def tenants(self) -> list[str]:
        """Read from an index."""
        return [tenant for (tenant,) in await self._read(sqlite_rows.TENANTS, ())]

    async def close(self) -> None:
        """Commits what waits, folds the log into the file and closes every connection."""
        await self._commits.close()
        await asyncio.to_thread(self._close_files)

    async def _submit(self, items: Sequence[Item]) -> int:
        if self._read_only:
            raise ExperienceStoreUnavailable(f"{self._path} is open for reading only")
        new = await self._commits.submit(items)
        if new:
            stored, self._stored = self._stored, asyncio.Event()
            stored.set()
        return new

    async def _write_groups(self, groups: list[Sequence[Item]]) -> Sequence[int | Exception]:
        return await asyncio.get_running_loop().run_in_executor(self._write_thread, self._write, groups)

    def _write(self, groups: list[Sequence[Item]]) -> Sequence[int | Exception]:
        """One transaction for all groups. A group that holds an impossible record fails alone, before it begins."""
        prepared = [prepare(group, self._guard) for group in groups]
        with self._reported():
            connection = self._open_writer()
            try:
                connection.execute("BEGIN IMMEDIATE")
                answers = [insert(connection, p) if isinstance(p, list) else p for p in prepared]
                connection.execute("COMMIT")
            except sqlite3.Error:
                # The connection starts afresh next time: after a full disk or a replaced file its state is unknown.
                self._writer = None
                connection.close()
                raise
        inserted = [answer for answer in answers if isinstance(answer, Inserted)]
        self._latest.keep(chain.from_iterable(one.records for one in inserted))
        return [answer.new if isinstance(answer, Inserted) else answer for answer in answers]

    def _open_writer(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = sqlite_schema.open_for_writing(self._path, self._max_bytes)
            self._ready = True
        return self._writer

    async def _read_records(self, sql: str, values: Sequence[object]) -> list[sqlite_rows.Read]:
        return await self._in_reader(partial(self._records, sql, values))

    async def _read(self, sql: str, values: Sequence[object]) -> list[sqlite_rows.Row]:
        return await self._in_reader(partial(self._fetch, sql, values))

    async def _in_reader(self, call: Callable[[], Result]) -> Result:
        loop = asyncio.get_running_loop()
        if not self._ready:
            await loop.run_in_executor(self._write_thread, self._reporting(self._open_writer))
        return await loop.run_in_executor(self._read_threads, self._reporting(call))

    def _fetch(self, sql: str, values: Sequence[object] | Mapping[str, object]) -> list[sqlite_rows.Row]:
        try:
            connection = self._idle_readers.get_nowait()
        except Empty:
            connection = sqlite_schema.open_for_reading(self._path)
        try:
            rows = connection.execute(sql, values).fetchall()
        except sqlite3.Error:
            connection.close()
            raise
        self._idle_readers.put(connection)
        return rows

    def _close_files(self) -> None:
        self._read_threads.shutdown()
        self._write_thread.shutdown()
        while not self._idle_readers.empty():
            self._idle_readers.get_nowait().close()
        if self._writer is not None:
            self._writer.close()

    def _reporting(self, call: Callable[[], Result]) -> Callable[[], Result]:
        def reported() -> Result:
            with self._reported():
                return call()

        return reported

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """SQLite's errors in words that say what to do."""
        try:
            yield
        except sqlite3.Error as error:
            raise ExperienceStoreUnavailable(f"experience store {self._path}: {advice(error)}") from error
        except OSError as error:
            raise ExperienceStoreUnavailable(f"experience store {self._path} cannot be opened: {error}") from error

"""Where mining reads experience: rows of the columns it needs, never whole records. Called by ``miner``.

Synchronous, for a thread of its own: a million rows are ten seconds of reading.
"""

import logging
import sqlite3
from collections.abc import AsyncIterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
import orjson

from evolution.errors import ColdFileDamaged, ExperienceStoreUnavailable
from evolution.mining.drawing import Draw, Drawn
from evolution.mining.rows import PLAIN, Rows, head_of, rows_from, rows_of
from evolution.store import sqlite_schema
from evolution.store.sqlite_advice import advice
from evolution.tiers.cold_files import ColdFile, ColdFiles
from evolution.tiers.cold_names import cold_files
from evolution.tiers.cold_rows import from_parquet
from schemas.experience import ExperienceRecord

logger = logging.getLogger(__name__)

BATCH_ROWS = 10_000

# A spoiled record says nothing of itself, and must not stop the others' turn.
_OF_RECORD = "CASE WHEN json_valid(record) THEN json_extract(record, {}) END"
_ROWS = f"""SELECT seq, at_us, task_id, success, latency_ms, cost, chosen, modalities, failure_code, vector,
    coalesce({_OF_RECORD.format("'$.vector_version', '$.steps'")}, '[null,null]') FROM experience WHERE """  # noqa: S608
# By number either way, so that nothing is sorted: everything of a tenant as the index lists it, and what is new from
# the watermark on (the plus keeps SQLite from the index, which would go through all that is not new).
_ALL = f"{_ROWS} seq IN (SELECT seq FROM experience WHERE seq > ? AND tenant = ? AND at_us >= ?) ORDER BY seq"  # noqa: S608
_NEW = f"{_ROWS} seq > ? AND +tenant = ? AND +at_us >= ? ORDER BY seq"
_COLD = (*PLAIN[:6], "chosen", *PLAIN[7:], "vector", "record")
_LAST = "SELECT coalesce(max(seq), 0) FROM experience"
_COUNT = "SELECT count(*) FROM experience WHERE tenant = ? AND at_us >= ?"
_SEQS = "SELECT seq FROM experience WHERE tenant = ? AND at_us >= ? AND at_us < ? ORDER BY seq"
_VECTOR = f"""SELECT vector, {_OF_RECORD.format("'$.vector_version'")} FROM experience WHERE seq = ?"""  # noqa: S608
_WORDS = f"""SELECT {_OF_RECORD.format("'$.instruction'")} FROM experience
    WHERE tenant = ? AND task_id = ? LIMIT 1"""  # noqa: S608


class MiningSource(Protocol):
    """Experience of any tenant, by columns. A row's ``seq`` grows in the order of storing."""

    def rows(self, tenant: str, after: int, since_us: int) -> Iterator[Rows]:
        """What was stored after that ``seq`` and happened since, in order of storing."""
        ...

    def count(self, tenant: str, after: int, since_us: int) -> int:
        """How many rows that will be, or a few more."""
        ...

    def sample(self, tenant: str, since_us: int, count: int, seed: int) -> list[Drawn]:
        """Vectors of at most ``count`` tasks, drawn evenly, with who encoded them. The same seed, the same tasks."""
        ...

    def words(self, tenant: str, tasks: Sequence[str]) -> dict[str, str]:
        """The instructions of tasks."""
        ...


class SqliteSource:
    """The embedded store's file, read beside whoever writes it, and before it the files of its cold tier."""

    def __init__(self, path: Path, cold: ColdFiles | None = None) -> None:
        self._path = path
        self._cold = cold

    def rows(self, tenant: str, after: int, since_us: int) -> Iterator[Rows]:
        """One pass over the cold files that have something new, then one over the embedded file."""
        with self._opened() as connection:
            # Both tiers as they are at one moment: what moves from one to the other meanwhile is read once.
            connection.execute("BEGIN")
            for file in self._listed(connection, tenant, after, since_us):
                yield from self._cold_rows(file, after, since_us)
            cursor = connection.execute(_NEW if after else _ALL, (after, tenant, since_us))
            while found := cursor.fetchmany(BATCH_ROWS):
                *plain, vectors, said = zip(*found, strict=True)
                yield rows_from(plain, vectors, orjson.loads(f"[{','.join(said)}]"))

    def count(self, tenant: str, after: int, since_us: int) -> int:
        """Counts an index, and takes cold files as they are noted. What is new has the last numbers of all tenants."""
        cold = sum(file.rows for file in self._files(tenant, after, since_us))
        with self._opened() as connection:
            if after:
                return cold + max(0, int(connection.execute(_LAST).fetchone()[0]) - after)
            return cold + int(connection.execute(_COUNT, (tenant, since_us)).fetchone()[0])

    def sample(self, tenant: str, since_us: int, count: int, seed: int) -> list[Drawn]:
        """Those whose numbers have the smallest hashes, wherever they lie: the same before and after they move.

        Of both tiers alike, in order of number. Holds no more than the sample, and one file.
        """
        drawn = Draw(count, seed)
        with self._opened() as connection:
            connection.execute("BEGIN")  # both tiers at one moment, as in ``rows``
            for file in self._listed(connection, tenant, 0, since_us):
                self._draw_cold(file, since_us, drawn)
            seqs = _seqs(connection, tenant, since_us)
            drawn.offer(seqs, lambda wanted: [connection.execute(_VECTOR, (seq,)).fetchone() for seq in wanted])
        return drawn.taken()

    def words(self, tenant: str, tasks: Sequence[str]) -> dict[str, str]:
        """Looks up each task in the embedded file."""
        with self._opened() as connection:
            found = {task: connection.execute(_WORDS, (tenant, task)).fetchone() for task in tasks}
        return {task: row[0] for task, row in found.items() if row and row[0]}

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Raises ExperienceStoreUnavailable for a store that is not there, or does not read."""
        with closing(sqlite_schema.open_for_reading(self._path)) as connection:
            try:
                yield connection
            except sqlite3.Error as error:
                raise ExperienceStoreUnavailable(
                    f"experience store {self._path} cannot be mined: {advice(error)}"
                ) from error

    def _files(self, tenant: str, after: int, since_us: int) -> list[ColdFile]:
        with self._opened() as connection:
            return self._listed(connection, tenant, after, since_us)

    def _listed(self, connection: sqlite3.Connection, tenant: str, after: int, since_us: int) -> list[ColdFile]:
        [version] = connection.execute("PRAGMA user_version").fetchone()
        if self._cold is None or version < len(sqlite_schema.MIGRATIONS):
            return []
        found = cold_files(connection, tenant)
        return [f for f in found if f.problem is None and f.last_seq > after and f.last_us >= since_us]

    def _draw_cold(self, file: ColdFile, since_us: int, drawn: Draw) -> None:
        """A damaged file is passed over, as in ``_cold_rows``."""
        try:
            content = self._content(file)
            places = {
                seq: place
                for place, (seq, at_us) in enumerate(from_parquet(content, ("seq", "at_us")))
                if at_us >= since_us
            }

            def read(wanted: Sequence[int]) -> list[tuple[bytes | None, str | None]]:
                rows = from_parquet(content, ("vector", "record"), [places[seq] for seq in wanted])
                return [(vector, head_of(body)[0]) for vector, body in rows]

            drawn.offer(np.fromiter(places, dtype=np.int64, count=len(places)), read)
        except ColdFileDamaged as damage:
            logger.warning("mining goes on without it: %s", damage)

    def _cold_rows(self, file: ColdFile, after: int, since_us: int) -> Iterator[Rows]:
        """A damaged file is passed over: the store says so to whoever reads its records."""
        try:
            found = from_parquet(self._content(file), _COLD)
        except ColdFileDamaged as damage:
            logger.warning("mining goes on without it: %s", damage)
            return
        wanted = [row for row in found if row[0] > after and row[1] >= since_us]
        if wanted:
            *plain, vectors, bodies = zip(*wanted, strict=True)
            yield rows_from(plain, vectors, [head_of(body) for body in bodies])

    def _content(self, file: ColdFile) -> bytes:
        """Of the file, or of the one that took its place since it was listed: what is passed over is never mined.

        Raises ColdFileDamaged, ColdTierUnavailable, ExperienceStoreUnavailable.
        """
        assert self._cold is not None
        try:
            return self._cold.get(file)
        except ColdFileDamaged:
            with self._opened() as connection:
                now = cold_files(connection, file.tenant)
            if any(each.key == file.key for each in now):
                raise
            for each in now:
                if (each.first_us, each.last_seq, each.rows) == (file.first_us, file.last_seq, file.rows):
                    return self._cold.get(each)
            raise ExperienceStoreUnavailable(
                f"cold file {file.key} became another while it was mined, and nothing was learned: mine again"
            ) from None


class RecordSource:
    """Records that came over the store's port: for stores that cannot be read by column. Holds them in memory."""

    def __init__(self, rows: Sequence[Rows], words: Mapping[str, str]) -> None:
        self._rows = rows
        self._words = words

    @classmethod
    async def of(cls, batches: AsyncIterable[Sequence[ExperienceRecord]]) -> "RecordSource":
        """Reads all of them."""
        rows: list[Rows] = []
        words: dict[str, str] = {}
        async for records in batches:
            rows.append(rows_of(records, sum(map(len, rows))))
            words |= {record.task_id: record.instruction[:200] for record in records}
        return cls(rows, words)

    def rows(self, tenant: str, after: int, since_us: int) -> Iterator[Rows]:
        """All of them: tenant and window were chosen when they were read."""
        yield from self._rows

    def count(self, tenant: str, after: int, since_us: int) -> int:
        """How many were read."""
        return sum(map(len, self._rows))

    def sample(self, tenant: str, since_us: int, count: int, seed: int) -> list[Drawn]:
        """Drawn from memory."""
        found = [
            (vector, version)
            for rows in self._rows
            for vector, version in zip(rows.vectors, rows.versions, strict=True)
            if vector is not None
        ]
        if len(found) <= count:
            return found
        drawn = np.random.default_rng(seed).choice(len(found), count, replace=False)
        return [found[place] for place in np.sort(drawn).tolist()]

    def words(self, tenant: str, tasks: Sequence[str]) -> dict[str, str]:
        """From memory."""
        return {task: self._words[task] for task in tasks if task in self._words}


def _seqs(connection: sqlite3.Connection, tenant: str, since_us: int) -> np.ndarray:
    return np.array([seq for (seq,) in connection.execute(_SEQS, (tenant, since_us, 2**62))], dtype=np.int64)

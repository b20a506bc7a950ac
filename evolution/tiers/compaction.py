"""Moves rows that are no longer hot into the cold tier, and removes what is too old for that.

Called by the evolution role and by `aos experience compact`.

Nothing is lost and nothing counted twice whenever it is ended: a day's rows are written to a file first, and one
transaction then names the file, counts its rows by the hour and removes them. A file that no transaction names is
nobody's. Synchronous, for a thread; beside it the recorder goes on, for each transaction is short.
"""

import json
import logging
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from evolution.errors import ColdTierUnavailable, ExperienceStoreUnavailable
from evolution.store import sqlite_schema
from evolution.store.sqlite_advice import advice
from evolution.tiers.cold_files import ColdFile, ColdFiles
from evolution.tiers.cold_rows import COLUMNS, Row, to_parquet

logger = logging.getLogger(__name__)

ROWS_A_FILE = 20_000
DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000

_COLUMN = {name: number for number, name in enumerate(COLUMNS)}
_OLDEST = "SELECT tenant, min(at_us) FROM experience WHERE at_us < ? GROUP BY tenant ORDER BY tenant"
# Only constants of this module are joined here; every value travels as a parameter.
_ROWS = f"""SELECT {", ".join(COLUMNS)} FROM experience WHERE tenant = ? AND at_us >= ? AND at_us < ?
    ORDER BY at_us, seq LIMIT {ROWS_A_FILE}"""  # noqa: S608
_COUNT = """INSERT INTO hourly (tenant, hour_us, agent_id, tasks, successes, latency_ms, cost)
    VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, hour_us, agent_id) DO UPDATE SET tasks = tasks + excluded.tasks,
    successes = successes + excluded.successes, latency_ms = latency_ms + excluded.latency_ms,
    cost = cost + excluded.cost"""
_NAME = "INSERT INTO cold_file (key, tenant, first_us, last_us, last_seq, rows, sha256) VALUES (?, ?, ?, ?, ?, ?, ?)"
_FILES = """SELECT key, tenant, first_us, last_us, last_seq, rows, sha256, problem FROM cold_file
    WHERE (? IS NULL OR tenant = ?) ORDER BY tenant, first_us, key"""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a run moved, and what it removed for good."""

    moved: int = 0
    files: int = 0
    removed: int = 0


def compact(
    path: Path,
    cold: ColdFiles,
    *,
    hot_until_us: int,
    cold_until_us: int,
    progress: Callable[[int], None] = lambda _moved: None,
) -> Compacted:
    """Rows before ``hot_until_us`` go to the cold tier, files wholly before ``cold_until_us`` go for good.

    Raises ExperienceStoreUnavailable, ColdTierUnavailable; what was moved until then stays moved.
    """
    moved = files = 0
    with closing(opened(path)) as connection:
        for tenant, oldest_us in query(connection, _OLDEST, hot_until_us):
            day_us = oldest_us - oldest_us % DAY_US
            while day_us < hot_until_us:
                until_us = min(day_us + DAY_US, hot_until_us)
                rows = query(connection, _ROWS, tenant, day_us, until_us)
                if not rows:
                    day_us += DAY_US
                    continue
                _move(connection, cold, tenant, day_us, rows)
                moved, files = moved + len(rows), files + 1
                progress(moved)
        removed = _expire(connection, cold, cold_until_us)
        query(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
    return Compacted(moved, files, removed)


def cold_files(connection: sqlite3.Connection, tenant: str | None) -> list[ColdFile]:
    """The files that count, by tenant and oldest first."""
    return [ColdFile(*row) for row in query(connection, _FILES, tenant, tenant)]


def opened(path: Path) -> sqlite3.Connection:
    """A connection that writes beside the recorder. What it removes is overwritten in the file."""
    try:
        connection = sqlite_schema.open_for_writing(path)
        # Rows of chosen_agent are removed by their own key: by the foreign key each removal would read the table.
        connection.execute("PRAGMA foreign_keys=0")
        connection.execute("PRAGMA secure_delete=1")
    except (sqlite3.Error, OSError) as error:
        raise ExperienceStoreUnavailable(f"experience store {path}: {advice(error)}") from error
    return connection


def query(connection: sqlite3.Connection, sql: str, *values: Any) -> list[Row]:  # noqa: ANN401 - what SQL can say
    """All rows of a statement; ``values`` in order, or one mapping. Raises ExperienceStoreUnavailable."""
    by_name = values[0] if len(values) == 1 and isinstance(values[0], dict) else values
    try:
        return connection.execute(sql, by_name).fetchall()
    except sqlite3.Error as error:
        raise ExperienceStoreUnavailable(f"the experience store does not answer: {advice(error)}") from error


def transaction(connection: sqlite3.Connection, *steps: tuple[str, Sequence[Row]]) -> None:
    """Statements with the rows of each, all or none. Raises ExperienceStoreUnavailable."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        for sql, rows in steps:
            connection.executemany(sql, rows)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise ExperienceStoreUnavailable(f"the experience store cannot be changed: {advice(error)}") from error


def removal(rows: Sequence[Row]) -> tuple[tuple[str, Sequence[Row]], ...]:
    """The steps that remove these rows (as of COLUMNS) from the hot tier."""
    tenant, seq, at_us = (_COLUMN[name] for name in ("tenant", "seq", "at_us"))
    agents = [(row[tenant], agent, row[at_us], row[seq]) for row in rows for agent in _agents(row)]
    return (
        ("DELETE FROM chosen_agent WHERE tenant = ? AND agent_id = ? AND at_us = ? AND seq = ?", agents),
        ("DELETE FROM experience WHERE seq = ?", [(row[seq],) for row in rows]),
    )


def naming(key: str, sha256: str, rows: Sequence[Row]) -> tuple[str, Sequence[Row]]:
    """The step that makes a file of these rows count."""
    at_us, seq = _COLUMN["at_us"], _COLUMN["seq"]
    first, last = min(row[at_us] for row in rows), max(row[at_us] for row in rows)
    return _NAME, [(key, rows[0][_COLUMN["tenant"]], first, last, max(row[seq] for row in rows), len(rows), sha256)]


def day_of(at_us: int) -> str:
    """The UTC day of a moment, as in the names of files."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).date().isoformat()


def _move(connection: sqlite3.Connection, cold: ColdFiles, tenant: str, day_us: int, rows: list[Row]) -> None:
    key, sha256 = cold.put(tenant, day_of(day_us), to_parquet(rows))
    transaction(connection, naming(key, sha256, rows), (_COUNT, _by_hour(rows)), *removal(rows))


def _by_hour(rows: Sequence[Row]) -> list[Row]:
    """Counts and sums for each hour and agent; the agent '' stands for all tasks."""
    tenant, at_us = _COLUMN["tenant"], _COLUMN["at_us"]
    success, latency, cost = _COLUMN["success"], _COLUMN["latency_ms"], _COLUMN["cost"]
    sums: dict[tuple[str, int, str], list[float]] = defaultdict(lambda: [0, 0, 0.0, 0.0])
    for row in rows:
        for agent in ("", *_agents(row)):
            found = sums[row[tenant], row[at_us] - row[at_us] % HOUR_US, agent]
            for place, value in enumerate((1, row[success], row[latency], row[cost])):
                found[place] += value
    return [(*key, *values) for key, values in sums.items()]


def _agents(row: Row) -> set[str]:
    """Who was chosen. A row that was spoiled counts for nobody, and must not keep all the others from moving."""
    try:
        return set(json.loads(row[_COLUMN["chosen"]]))
    except (ValueError, TypeError):
        logger.warning("the agents of stored record number %s do not read", row[_COLUMN["seq"]])
        return set()


def _expire(connection: sqlite3.Connection, cold: ColdFiles, until_us: int) -> int:
    """Files go first from the list that counts, then from the object store."""
    old = [file for file in cold_files(connection, None) if file.last_us < until_us]
    if old:
        transaction(connection, ("DELETE FROM cold_file WHERE key = ?", [(file.key,) for file in old]))
    for file in old:
        try:
            cold.delete(file.key)
        except ColdTierUnavailable as error:
            logger.warning("%s stays behind in the object store: %s", file.key, error)
    return sum(file.rows for file in old)

"""Moves rows that are no longer hot into the cold tier, and removes what is too old for that.

Called by the evolution role and by `aos experience compact`.

Nothing is lost and nothing counted twice whenever it is ended: rows are written to a file first, and one transaction
then names the file, counts its rows by the hour and removes them, as they were when they were read. A file that no
transaction names is nobody's. Few rows go at once, so that whoever writes beside it waits for little; the small files
that this makes become large ones once their day is over (``joining``). Synchronous, for a thread; other processes may
compact, forget or seal anew meanwhile.
"""

import contextlib
import json
import logging
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from evolution.progress import Progress, unseen
from evolution.tiers.cold_files import ColdFiles
from evolution.tiers.cold_names import cold_files, dropping, key_of, sweep, withdraw, written
from evolution.tiers.cold_rows import COLUMNS, Row
from evolution.tiers.embedded_file import Outrun, Step, opened, query, shorten_log, transaction
from evolution.tiers.joining import DAY_US, join

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 500
"""Removing so many holds up whoever writes for 14 ms of CPU; of 5,000 it was 120, on a busy machine a second."""
HOUR_US = 3_600_000_000

_COLUMN = {name: number for number, name in enumerate(COLUMNS)}
_OLDEST = "SELECT tenant, min(at_us), count(*) FROM experience WHERE at_us < ? GROUP BY tenant ORDER BY tenant"
# Only constants of this module are joined here; every value travels as a parameter.
_ROWS = f"""SELECT {", ".join(COLUMNS)} FROM experience WHERE tenant = ? AND at_us >= ? AND at_us < ?
    ORDER BY at_us, seq LIMIT {ROWS_AT_ONCE}"""  # noqa: S608
_COUNT = """INSERT INTO hourly (tenant, hour_us, agent_id, tasks, successes, latency_ms, cost)
    VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, hour_us, agent_id) DO UPDATE SET tasks = tasks + excluded.tasks,
    successes = successes + excluded.successes, latency_ms = latency_ms + excluded.latency_ms,
    cost = cost + excluded.cost"""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a run moved, to how many new files, and what it removed for good."""

    moved: int = 0
    files: int = 0
    removed: int = 0


def compact(
    path: Path,
    cold: ColdFiles,
    *,
    hot_until_us: int,
    cold_until_us: int,
    progress: Progress = unseen,
) -> Compacted:
    """Rows before ``hot_until_us`` go to the cold tier, files wholly before ``cold_until_us`` go for good.

    Raises ExperienceStoreUnavailable, ColdTierUnavailable; what was moved until then stays moved.
    """
    moved, files = 0, set[str]()
    with closing(opened(path)) as connection:
        of_tenants = query(connection, _OLDEST, hot_until_us)
        total = sum(count for _, _, count in of_tenants)
        for tenant, oldest_us, _ in of_tenants:
            day_us = oldest_us - oldest_us % DAY_US
            while day_us < hot_until_us:
                until_us = min(day_us + DAY_US, hot_until_us)
                rows = query(connection, _ROWS, tenant, day_us, until_us)
                if not rows:
                    day_us += DAY_US
                    continue
                if (key := _move(connection, cold, rows)) is not None:
                    moved, files = moved + len(rows), files | {key}
                    progress(moved, total)
        removed = _expire(connection, cold, cold_until_us)
        for made, instead_of in join(connection, cold, hot_until_us):
            files = files - instead_of | {made}
        sweep(connection, cold)
        shorten_log(connection)
    return Compacted(moved, len(files), removed)


def removal(rows: Sequence[Row], *, exact: bool = False) -> tuple[Step, Step]:
    """The steps that remove these rows (as of COLUMNS) from the hot tier; ``exact``: only as they were read."""
    tenant, seq, at_us, record = (_COLUMN[name] for name in ("tenant", "seq", "at_us", "record"))
    agents = [(row[tenant], agent, row[at_us], row[seq]) for row in rows for agent in _agents(row)]
    return (
        Step("DELETE FROM experience WHERE seq = ? AND record = ?", [(row[seq], row[record]) for row in rows], True)
        if exact
        else Step("DELETE FROM experience WHERE seq = ?", [(row[seq],) for row in rows]),
        Step("DELETE FROM chosen_agent WHERE tenant = ? AND agent_id = ? AND at_us = ? AND seq = ?", agents),
    )


def _move(connection: sqlite3.Connection, cold: ColdFiles, rows: list[Row]) -> str | None:
    """The file's key. None where another process moved, removed or sealed some of the rows: nothing is moved here."""
    counted = written(connection, cold, rows)
    try:
        transaction(connection, *removal(rows, exact=True), counted, Step(_COUNT, _by_hour(rows)))
    except Outrun:
        withdraw(connection, cold, counted)
        return None
    return key_of(counted)


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
    """Files go first from the list that counts, then from the object store. Answers how many records were in them."""
    removed = 0
    for file in cold_files(connection, None):
        if file.last_us < until_us:
            with contextlib.suppress(Outrun):  # somebody else removed it just now
                transaction(connection, dropping(file.key))
                removed += file.rows
    return removed

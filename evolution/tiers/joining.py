"""Small files of the cold tier become large ones, a day at a time. Called by ``compaction``.

Rows leave the hot tier few at a time, and every hour again, so that a day leaves many files behind; who reads months of
them pays for each. Once a day is over its files are put together. No row of the embedded file changes for that: one
short transaction names the large file in place of the small ones. Those stay in the object store for another hour.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import groupby

from evolution.errors import ColdFileDamaged
from evolution.tiers.cold_files import ColdFile, ColdFiles
from evolution.tiers.cold_names import cold_files, key_of, setting_aside, withdraw, written
from evolution.tiers.cold_rows import COLUMNS, from_parquet
from evolution.tiers.embedded_file import Outrun, transaction

logger = logging.getLogger(__name__)

DAY_US = 86_400_000_000
ROWS_A_FILE = 5_000
"""15 MB as rows: reading one file is half a second, and forgetting rewrites no more than that."""

_AT_US, _SEQ = COLUMNS.index("at_us"), COLUMNS.index("seq")


def join(connection: sqlite3.Connection, cold: ColdFiles, until_us: int) -> Iterator[tuple[str, set[str]]]:
    """Files of days that are over by then, put together: each new file's key, with those it stands for.

    Raises ExperienceStoreUnavailable, ColdTierUnavailable.
    """
    whole = [file for file in cold_files(connection, None) if _end_of_day(file) <= until_us and file.problem is None]
    for _, files in groupby(whole, key=lambda file: (file.tenant, _end_of_day(file))):
        for lot in lots(list(files)):
            with contextlib.suppress(Outrun):  # somebody changed one of them meanwhile: another time
                yield _joined(connection, cold, lot), {file.key for file in lot}


def lots(files: Sequence[ColdFile]) -> list[list[ColdFile]]:
    """Neighbours that fit into one file, two of them at least."""
    found: list[list[ColdFile]] = []
    rows = 0
    for file in files:
        if not found or rows + file.rows > ROWS_A_FILE:
            found.append([])
            rows = 0
        found[-1].append(file)
        rows += file.rows
    return [lot for lot in found if len(lot) > 1]


def _joined(connection: sqlite3.Connection, cold: ColdFiles, files: Sequence[ColdFile]) -> str:
    """The key of the file that holds the records of all these. Raises Outrun, having changed nothing."""
    try:
        rows = [row for file in files for row in from_parquet(cold.get(file))]
    except ColdFileDamaged as damage:
        logger.warning("files of a day stay as they are: %s", damage)
        raise Outrun from damage
    counted = written(connection, cold, sorted(rows, key=lambda row: (row[_AT_US], row[_SEQ])))
    try:
        transaction(connection, *(setting_aside(file.key) for file in files), counted)
    except Outrun:
        withdraw(connection, cold, counted)
        raise
    return key_of(counted)


def _end_of_day(file: ColdFile) -> int:
    """The end of the UTC day in which the file's last record happened."""
    return file.last_us - file.last_us % DAY_US + DAY_US

"""Which files of the cold tier count: the embedded store names them. Called by compaction, forgetting and all readers.

A name is noted before its file is written and until its file is gone, with no rows while it does not count. So what a
process leaves behind that is killed between two steps is found, and removed by whoever comes next.
"""

import logging
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime

from evolution.errors import ColdTierUnavailable
from evolution.store.moments import microseconds
from evolution.tiers.cold_files import ColdFile, ColdFiles
from evolution.tiers.cold_rows import COLUMNS, Row, to_parquet
from evolution.tiers.embedded_file import Step, query, transaction
from schemas.base import now

logger = logging.getLogger(__name__)

ABANDONED_AFTER_S = 3600.0
"""A file that was begun so long ago and does not count: whoever wrote it is gone. Writing one takes seconds."""

_PLACE = {name: number for number, name in enumerate(COLUMNS)}
_FILES = """SELECT key, tenant, first_us, last_us, last_seq, rows, sha256, problem FROM cold_file
    WHERE rows > 0 AND (? IS NULL OR tenant = ?) ORDER BY tenant, first_us, key"""
_BEGIN = """INSERT INTO cold_file (key, tenant, first_us, last_us, last_seq, rows, sha256, problem)
    VALUES (?, ?, ?, 0, 0, 0, '', 'it is being written, or removed')"""
_COUNT = """UPDATE cold_file SET first_us = ?, last_us = ?, last_seq = ?, rows = ?, sha256 = ?, problem = NULL
    WHERE key = ? AND rows = 0"""
_DROP = """UPDATE cold_file SET first_us = 0, last_us = 0, last_seq = 0, rows = 0, sha256 = '',
    problem = 'it is being written, or removed' WHERE key = ? AND rows > 0"""
_SET_ASIDE = """UPDATE cold_file SET first_us = ?, last_us = 0, last_seq = 0, rows = 0, sha256 = '',
    problem = 'its records are in another file' WHERE key = ? AND rows > 0"""
_LEFT = """SELECT key FROM cold_file WHERE rows = 0
    AND (first_us < ? OR tenant = ? AND problem = 'its records are in another file')"""
_GONE = "DELETE FROM cold_file WHERE key = ? AND rows = 0"


def cold_files(connection: sqlite3.Connection, tenant: str | None) -> list[ColdFile]:
    """The files that count, by tenant and oldest first."""
    return [ColdFile(*row) for row in query(connection, _FILES, tenant, tenant)]


def written(connection: sqlite3.Connection, cold: ColdFiles, rows: Sequence[Row]) -> Step:
    """Writes rows of one tenant and day to a file; answers the step that makes it count.

    Raises ColdTierUnavailable, ExperienceStoreUnavailable.
    """
    tenant, moments = rows[0][_PLACE["tenant"]], [row[_PLACE["at_us"]] for row in rows]
    first, last, seq = min(moments), max(moments), max(row[_PLACE["seq"]] for row in rows)
    key = cold.fresh_key(tenant, day_of(first))
    transaction(connection, Step(_BEGIN, [(key, tenant, microseconds(now()))]))
    sha256 = cold.put(key, to_parquet(rows))
    return Step(_COUNT, [(first, last, seq, len(rows), sha256, key)], exact=True)


def key_of(counted: Step) -> str:
    """The key of the file that this step of `written` makes count."""
    return str(counted.values[0][-1])


def withdraw(connection: sqlite3.Connection, cold: ColdFiles, counted: Step) -> None:
    """Removes what `written` wrote, where its step was not taken."""
    _remove(connection, cold, key_of(counted))


def dropping(key: str) -> Step:
    """The step after which a file does not count any more; `sweep` removes it."""
    return Step(_DROP, [(key,)], exact=True)


def setting_aside(key: str) -> Step:
    """The step after which a file does not count any more, its records being in another one.

    `sweep` removes it an hour later: whoever is about to read it still can.
    """
    return Step(_SET_ASIDE, [(microseconds(now()), key)], exact=True)


def sweep(connection: sqlite3.Connection, cold: ColdFiles, everything_of: str | None = None) -> list[str]:
    """Removes files that were dropped, and those that were begun, or set aside, more than an hour ago.

    Of the tenant ``everything_of`` those set aside just now as well, for what they hold is to go. Answers those that
    cannot be removed now; the next sweep tries again. Raises ExperienceStoreUnavailable.
    """
    before_us = microseconds(now()) - int(ABANDONED_AFTER_S * 1e6)
    left = query(connection, _LEFT, before_us, everything_of)
    return [key for (key,) in left if not _remove(connection, cold, key)]


def day_of(at_us: int) -> str:
    """The UTC day of a moment, as in the names of files."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).date().isoformat()


def _remove(connection: sqlite3.Connection, cold: ColdFiles, key: str) -> bool:
    try:
        cold.delete(key)
    except ColdTierUnavailable as error:
        logger.warning("%s stays behind in the object store, until the next time: %s", key, error)
        return False
    transaction(connection, Step(_GONE, [(key,)]))
    return True

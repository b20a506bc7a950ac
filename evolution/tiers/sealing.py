"""Seals a tenant's task text and comments by its newest key, in both tiers. Called by `aos experience rotate-keys`.

Synchronous, for a thread, and safe beside the recorder and others that compact, forget or seal anew. The hot tier comes
first: rows go from it to the cold one, never back.
"""

import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson

from evolution.errors import ColdFileDamaged
from evolution.privacy.keys import KeyRing
from evolution.privacy.words import reword_stored
from evolution.progress import Progress, unseen
from evolution.tiers.cold_changes import outrun_unless_named, replace_file, values_of, visit
from evolution.tiers.cold_files import ColdFile, ColdFiles
from evolution.tiers.cold_names import cold_files, sweep
from evolution.tiers.cold_rows import COLUMNS, Row, from_parquet
from evolution.tiers.embedded_file import Step, opened, query, shorten_log, transaction

BATCH_ROWS = 500
_RECORD = COLUMNS.index("record")
_LAST = "SELECT (SELECT coalesce(max(seq), 0) FROM experience), (SELECT coalesce(max(seq), 0) FROM feedback)"
_HOT = """SELECT (SELECT count(*) FROM experience WHERE tenant = :tenant AND seq > :record)
    + (SELECT count(*) FROM feedback WHERE tenant = :tenant AND seq > :feedback)"""


@dataclass(frozen=True, slots=True)
class Stored:
    """How far the store was written: the last numbers of records and of feedback."""

    record: int = 0
    feedback: int = 0


def stored_until(path: Path) -> Stored:
    """How far it is now. Raises ExperienceStoreUnavailable."""
    with closing(opened(path)) as connection:
        [numbers] = query(connection, _LAST)
    return Stored(*numbers)


def renew(
    path: Path, cold: ColdFiles, keys: KeyRing, tenant: str, progress: Progress = unseen, after: Stored = Stored()
) -> int:
    """Seal everything of the tenant by its newest key, what was plain too; answers how many texts were renewed.

    With ``after`` only what was stored later. Raises ExperienceStoreUnavailable, ColdTierUnavailable, KeysUnusable.
    """
    done = 0
    with closing(opened(path)) as connection:
        total = _total(connection, tenant, after)
        for table, column, last in (("experience", "record", after.record), ("feedback", "feedback", after.feedback)):
            for rows in _batches(connection, table, column, tenant, last):
                renewed = [(_renewed(body, keys, tenant), seq) for seq, body in rows]
                sql = f"UPDATE {table} SET {column} = ? WHERE seq = ?"  # noqa: S608 - constants of this function
                transaction(connection, Step(sql, renewed))
                done += len(renewed)
                progress(done, total)

        def seal(file: ColdFile) -> str:
            nonlocal done
            if file.last_seq <= after.record:
                return file.key
            try:
                rows = from_parquet(cold.get(file))
            except ColdFileDamaged:
                outrun_unless_named(connection, file)
                if file.problem is None:
                    raise
                return file.key
            key = replace_file(connection, cold, file, [_sealed(row, keys, tenant) for row in rows])
            done += len(rows)
            progress(done, total)
            return key

        visit(connection, tenant, seal)
        sweep(connection, cold, everything_of=tenant)
        shorten_log(connection)
    return done


def _total(connection: sqlite3.Connection, tenant: str, after: Stored) -> int:
    values = {"tenant": tenant, "record": after.record, "feedback": after.feedback}
    [(hot,)] = query(connection, _HOT, values)
    return int(hot) + sum(file.rows for file in cold_files(connection, tenant) if file.last_seq > after.record)


def _batches(
    connection: sqlite3.Connection, table: str, column: str, tenant: str, after: int
) -> Iterator[Collection[tuple[int, str]]]:
    # The plus keeps SQLite from the tenant's index: it would go through all that is left, and sort it, for each batch.
    sql = f"SELECT seq, {column} FROM {table} WHERE +tenant = ? AND seq > ? ORDER BY seq LIMIT ?"  # noqa: S608
    while rows := query(connection, sql, tenant, after, BATCH_ROWS):
        yield rows
        after = rows[-1][0]


def _sealed(row: Row, keys: KeyRing, tenant: str) -> Row:
    return (*row[:_RECORD], _renewed(row[_RECORD], keys, tenant), *row[_RECORD + 1 :])


def _renewed(body: str, keys: KeyRing, tenant: str) -> str:
    values = values_of(body)
    if not values:
        return body
    reword_stored(values, partial(keys.renewed, tenant))
    return orjson.dumps(values).decode()

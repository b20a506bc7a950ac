"""Removes a task's or a person's traces from both tiers, and renews what is sealed there. Called by `aos experience`.

Synchronous, for a thread. A file of the cold tier is never changed: a new one takes its place in one transaction, then
the old one is deleted.
"""

import logging
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from evolution.errors import ColdFileDamaged
from evolution.privacy.keys import KeyRing
from evolution.tiers.cold_files import ColdFile, ColdFiles
from evolution.tiers.cold_rows import COLUMNS, Row, from_parquet, to_parquet
from evolution.tiers.compaction import cold_files, day_of, naming, opened, query, removal, transaction

logger = logging.getLogger(__name__)

BATCH_ROWS = 500
SUBJECT_LABEL = "subject"
"""The label of a task that says whose data it is about."""

_PLACE = {name: number for number, name in enumerate(COLUMNS)}
# Only constants of this module are joined here; every value travels as a parameter.
_OF_TASK = f"SELECT {', '.join(COLUMNS)} FROM experience WHERE tenant = ? AND task_id = ?"  # noqa: S608
_OF_SUBJECT = f"""SELECT {", ".join(COLUMNS)} FROM experience WHERE tenant = ?
    AND CASE WHEN json_valid(record) THEN json_extract(record, '$.labels.{SUBJECT_LABEL}') END = ?"""  # noqa: S608
_FEEDBACK_OF_TASK = "SELECT seq FROM feedback WHERE tenant = ? AND task_id = ?"
_FEEDBACK_OF_ACTOR = """SELECT seq FROM feedback WHERE tenant = ?
    AND CASE WHEN json_valid(feedback) THEN json_extract(feedback, '$.actor') END = ?"""
_UNNAME = "DELETE FROM cold_file WHERE key = ?"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed. ``unread`` are damaged cold files, which nobody can look into."""

    tasks: tuple[str, ...]
    records: int
    feedback: int
    unread: tuple[str, ...] = ()


def forget(
    path: Path, cold: ColdFiles, tenant: str, *, task: str | None = None, subject: str | None = None
) -> Forgotten:
    """Everything kept of one task, or of one person: tasks labelled ``subject``, and feedback of that actor.

    Raises ExperienceStoreUnavailable, ColdTierUnavailable; repeated, it goes on where it ended.
    """
    with closing(opened(path)) as connection:
        sql, value = (_OF_TASK, task) if task is not None else (_OF_SUBJECT, subject)
        rows = query(connection, sql, tenant, value)
        tasks = {row[_PLACE["task_id"]] for row in rows} | ({task} if task is not None else set())
        in_cold, unread = 0, []
        for file in cold_files(connection, tenant):
            try:
                found = _forget_in(connection, cold, file, task, subject)
            except ColdFileDamaged:
                unread.append(file.key)
                continue
            in_cold += len(found)
            tasks.update(row[_PLACE["task_id"]] for row in found)
        said = {seq for each in tasks for (seq,) in query(connection, _FEEDBACK_OF_TASK, tenant, each)}
        if subject is not None:
            said.update(seq for (seq,) in query(connection, _FEEDBACK_OF_ACTOR, tenant, subject))
        of_feedback = ("DELETE FROM feedback WHERE seq = ?", [(seq,) for seq in sorted(said)])
        transaction(connection, *removal(rows), of_feedback)
        # What was removed must not lie on in the log beside the file.
        query(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
    return Forgotten(tuple(sorted(tasks)), len(rows) + in_cold, len(said), tuple(unread))


def renew(
    path: Path, cold: ColdFiles, keys: KeyRing, tenant: str, progress: Callable[[int], None] = lambda _done: None
) -> int:
    """Seal everything of the tenant by its newest key, what was plain too; answers how many texts were renewed.

    Raises ExperienceStoreUnavailable, ColdTierUnavailable, KeysUnusable.
    """
    done = 0
    with closing(opened(path)) as connection:
        for table, column, field in (("experience", "record", "instruction"), ("feedback", "feedback", "comment")):
            for rows in _batches(connection, table, column, tenant):
                renewed = [(_renewed(body, field, keys, tenant), seq) for seq, body in rows]
                sql = f"UPDATE {table} SET {column} = ? WHERE seq = ?"  # noqa: S608 - constants of this function
                transaction(connection, (sql, renewed))
                done += len(renewed)
                progress(done)
        place = _PLACE["record"]
        for file in cold_files(connection, tenant):
            if file.problem is None:
                rows = from_parquet(cold.get(file))
                fresh = [
                    (*row[:place], _renewed(row[place], "instruction", keys, tenant), *row[place + 1 :]) for row in rows
                ]
                _replace(connection, cold, file, fresh)
                done += len(fresh)
                progress(done)
        query(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
    return done


def _test(task: str | None, subject: str | None) -> Callable[[Row], bool]:
    if task is not None:
        return lambda row: bool(row[_PLACE["task_id"]] == task)
    return lambda row: bool(_values(row[_PLACE["record"]]).get("labels", {}).get(SUBJECT_LABEL) == subject)


def _forget_in(
    connection: sqlite3.Connection, cold: ColdFiles, file: ColdFile, task: str | None, subject: str | None
) -> list[Row]:
    """The rows that were removed from the file."""
    if file.problem is not None:
        raise ColdFileDamaged(file.problem)
    content, test = cold.get(file), _test(task, subject)
    # One column tells whether the task is in there at all.
    if task is not None and (task,) not in from_parquet(content, ("task_id",)):
        return []
    rows = from_parquet(content)
    found = [row for row in rows if test(row)]
    if found:
        gone = {row[_PLACE["seq"]] for row in found}
        _replace(connection, cold, file, [row for row in rows if row[_PLACE["seq"]] not in gone])
    return found


def _replace(connection: sqlite3.Connection, cold: ColdFiles, file: ColdFile, rows: Sequence[Row]) -> None:
    if rows:
        key, sha256 = cold.put(file.tenant, day_of(file.first_us), to_parquet(rows))
        transaction(connection, (_UNNAME, [(file.key,)]), naming(key, sha256, rows))
    else:
        transaction(connection, (_UNNAME, [(file.key,)]))
    cold.delete(file.key)


def _batches(
    connection: sqlite3.Connection, table: str, column: str, tenant: str
) -> Iterator[Collection[tuple[int, str]]]:
    after = 0
    sql = f"SELECT seq, {column} FROM {table} WHERE tenant = ? AND seq > ? ORDER BY seq LIMIT ?"  # noqa: S608
    while rows := query(connection, sql, tenant, after, BATCH_ROWS):
        yield rows
        after = rows[-1][0]


def _renewed(body: str, field: str, keys: KeyRing, tenant: str) -> str:
    values = _values(body)
    if not values:
        return body
    values[field] = keys.renewed(tenant, values.get(field) or "")
    return orjson.dumps(values).decode()


def _values(body: str) -> dict[str, Any]:
    """What a row says; nothing when it was spoiled, which must not stop the others' turn."""
    try:
        values: dict[str, Any] = orjson.loads(body)
    except ValueError:
        logger.warning("a stored row does not read and is left as it is")
        return {}
    return values

"""Removes a task's or a person's traces from both tiers, and renews what is sealed there. Called by `aos experience`.

Synchronous, for a thread, and safe beside the recorder and others that compact, forget or seal anew. A file of the cold
tier is never changed: a new one takes its place in one transaction, then the old one is deleted. The hot tier comes
first: rows go from it to the cold one, never back.
"""

import logging
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from evolution.errors import ColdFileDamaged
from evolution.privacy.keys import KeyRing
from evolution.privacy.words import reword_stored
from evolution.tiers.cold_files import ColdFile, ColdFiles
from evolution.tiers.cold_names import cold_files, dropping, key_of, sweep, withdraw, written
from evolution.tiers.cold_rows import COLUMNS, Row, from_parquet
from evolution.tiers.compaction import removal
from evolution.tiers.embedded_file import Outrun, Step, opened, query, transaction

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
_UNSAY = "DELETE FROM feedback WHERE seq = ?"


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed. ``unread`` are damaged cold files, which nobody can look into; ``left`` are files that do not

    count any more and that the object store would not remove yet.
    """

    tasks: tuple[str, ...]
    records: int
    feedback: int
    unread: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


Note = Callable[[Collection[str]], None]
"""Told of tasks before anything of them is removed."""


def forget(
    path: Path,
    cold: ColdFiles,
    tenant: str,
    *,
    task: str | None = None,
    subject: str | None = None,
    note: Note = lambda _tasks: None,
) -> Forgotten:
    """Everything kept of one task, or of one person: tasks labelled ``subject``, and feedback of that actor.

    Raises ExperienceStoreUnavailable, ColdTierUnavailable; repeated, it goes on where it ended.
    """
    with closing(opened(path)) as connection:
        sql, value = (_OF_TASK, task) if task is not None else (_OF_SUBJECT, subject)
        rows = query(connection, sql, tenant, value)
        tasks = {row[_PLACE["task_id"]] for row in rows} | ({task} if task is not None else set())
        said = _said(connection, tenant, tasks)
        if subject is not None:
            said |= {seq for (seq,) in query(connection, _FEEDBACK_OF_ACTOR, tenant, subject)}
        note(tasks)
        transaction(connection, *removal(rows), _unsaying(said))
        gone = Forgotten(tuple(tasks), len(rows), len(said))

        def look_into(file: ColdFile) -> str:
            nonlocal gone
            try:
                key, found, said = _forget_in(connection, cold, file, _test(task, subject), task, note)
            except ColdFileDamaged:
                _outrun_unless_named(connection, file)
                gone = replace(gone, unread=(*gone.unread, file.key))
                return file.key
            tasks.update(row[_PLACE["task_id"]] for row in found)
            gone = replace(gone, records=gone.records + len(found), feedback=gone.feedback + said)
            return key

        _visit(connection, tenant, look_into)
        left = tuple(sweep(connection, cold))
        # What was removed must not lie on in the log beside the file.
        query(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
    return replace(gone, tasks=tuple(sorted(tasks)), left=left)


def renew(
    path: Path, cold: ColdFiles, keys: KeyRing, tenant: str, progress: Callable[[int], None] = lambda _done: None
) -> int:
    """Seal everything of the tenant by its newest key, what was plain too; answers how many texts were renewed.

    Raises ExperienceStoreUnavailable, ColdTierUnavailable, KeysUnusable.
    """
    done = 0
    with closing(opened(path)) as connection:
        for table, column in (("experience", "record"), ("feedback", "feedback")):
            for rows in _batches(connection, table, column, tenant):
                renewed = [(_renewed(body, keys, tenant), seq) for seq, body in rows]
                sql = f"UPDATE {table} SET {column} = ? WHERE seq = ?"  # noqa: S608 - constants of this function
                transaction(connection, Step(sql, renewed))
                done += len(renewed)
                progress(done)

        def seal(file: ColdFile) -> str:
            nonlocal done
            try:
                rows = from_parquet(cold.get(file))
            except ColdFileDamaged:
                _outrun_unless_named(connection, file)
                if file.problem is None:
                    raise
                return file.key
            key = _replace(connection, cold, file, [_sealed(row, keys, tenant) for row in rows])
            done += len(rows)
            progress(done)
            return key

        _visit(connection, tenant, seal)
        sweep(connection, cold)
        query(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
    return done


def _visit(connection: sqlite3.Connection, tenant: str, change: Callable[[ColdFile], str]) -> None:
    """Every cold file once, also what another process put in its place. ``change`` answers the file's new key."""
    seen: set[str] = set()
    outrun = True
    while outrun:
        outrun = False
        for file in [each for each in cold_files(connection, tenant) if each.key not in seen]:
            seen.add(file.key)
            try:
                seen.add(change(file))
            except Outrun:
                outrun = True


def _outrun_unless_named(connection: sqlite3.Connection, file: ColdFile) -> None:
    """A file that is gone because another took its place is not damaged. Raises Outrun."""
    if file.key not in {each.key for each in cold_files(connection, file.tenant)}:
        raise Outrun


def _test(task: str | None, subject: str | None) -> Callable[[Row], bool]:
    if task is not None:
        return lambda row: bool(row[_PLACE["task_id"]] == task)
    return lambda row: bool((_values(row[_PLACE["record"]]).get("labels") or {}).get(SUBJECT_LABEL) == subject)


def _forget_in(
    connection: sqlite3.Connection,
    cold: ColdFiles,
    file: ColdFile,
    test: Callable[[Row], bool],
    task: str | None,
    note: Note,
) -> tuple[str, list[Row], int]:
    """What the file is called now, the rows that were removed from it, and how much was said of their tasks."""
    content = cold.get(file)
    # One column tells whether the task is in there at all.
    if task is not None and (task,) not in from_parquet(content, ("task_id",)):
        return file.key, [], 0
    rows = from_parquet(content)
    found = [row for row in rows if test(row)]
    if not found:
        return file.key, [], 0
    gone, tasks = {row[_PLACE["seq"]] for row in found}, {row[_PLACE["task_id"]] for row in found}
    note(tasks)
    said = _said(connection, file.tenant, tasks)
    rest = [row for row in rows if row[_PLACE["seq"]] not in gone]
    return _replace(connection, cold, file, rest, _unsaying(said)), found, len(said)


def _replace(connection: sqlite3.Connection, cold: ColdFiles, file: ColdFile, rows: Sequence[Row], *steps: Step) -> str:
    """The key of the file that holds these rows in place of the other; its own where none are left. Raises Outrun."""
    if not rows:
        transaction(connection, dropping(file.key), *steps)
        return file.key
    counted = written(connection, cold, rows)
    try:
        transaction(connection, dropping(file.key), counted, *steps)
    except Outrun:
        withdraw(connection, cold, counted)
        raise
    return key_of(counted)


def _said(connection: sqlite3.Connection, tenant: str, tasks: Collection[str]) -> set[int]:
    """The numbers of all feedback of these tasks."""
    return {seq for each in tasks for (seq,) in query(connection, _FEEDBACK_OF_TASK, tenant, each)}


def _unsaying(said: Collection[int]) -> Step:
    return Step(_UNSAY, [(seq,) for seq in sorted(said)])


def _batches(
    connection: sqlite3.Connection, table: str, column: str, tenant: str
) -> Iterator[Collection[tuple[int, str]]]:
    after = 0
    sql = f"SELECT seq, {column} FROM {table} WHERE tenant = ? AND seq > ? ORDER BY seq LIMIT ?"  # noqa: S608
    while rows := query(connection, sql, tenant, after, BATCH_ROWS):
        yield rows
        after = rows[-1][0]


def _sealed(row: Row, keys: KeyRing, tenant: str) -> Row:
    place = _PLACE["record"]
    return (*row[:place], _renewed(row[place], keys, tenant), *row[place + 1 :])


def _renewed(body: str, keys: KeyRing, tenant: str) -> str:
    values = _values(body)
    if not values:
        return body
    reword_stored(values, partial(keys.renewed, tenant))
    return orjson.dumps(values).decode()


def _values(body: str) -> dict[str, Any]:
    """What a row says; nothing when it was spoiled, which must not stop the others' turn."""
    try:
        values = orjson.loads(body)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        logger.warning("a stored row does not read and is left as it is")
        return {}
    return values

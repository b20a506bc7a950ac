"""Removes a task's or a person's traces from both tiers. Called by `aos experience forget`.

Synchronous, for a thread, and safe beside the recorder and others that compact, forget or seal anew. The hot tier comes
first: rows go from it to the cold one, never back.
"""

import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from evolution.errors import ColdFileDamaged
from evolution.progress import Progress, unseen
from evolution.tiers.cold_changes import outrun_unless_named, replace_file, values_of, visit
from evolution.tiers.cold_files import ColdFile, ColdFiles
from evolution.tiers.cold_names import cold_files, sweep
from evolution.tiers.cold_rows import COLUMNS, Row, from_parquet
from evolution.tiers.compaction import removal
from evolution.tiers.embedded_file import Step, opened, query, shorten_log, transaction

LOT = 10_000
"""Rows that are looked into at once: half a second, after which whoever waits is told, and may end it."""
SUBJECT_LABEL = "subject"
"""The label of a task that says whose data it is about."""

_PLACE = {name: number for number, name in enumerate(COLUMNS)}
# Only constants of this module are joined here; every value travels as a parameter.
_OF_TASK = f"SELECT {', '.join(COLUMNS)} FROM experience WHERE tenant = ? AND task_id = ?"  # noqa: S608
_OF_SUBJECT = f"""SELECT {", ".join(COLUMNS)} FROM experience WHERE seq > ? AND seq <= ? AND +tenant = ?
    AND CASE WHEN json_valid(record) THEN json_extract(record, '$.labels.{SUBJECT_LABEL}') END = ?"""  # noqa: S608
_NUMBERS = "SELECT coalesce(min(seq) - 1, 0), coalesce(max(seq), 0) FROM experience"
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
    progress: Progress = unseen,
) -> Forgotten:
    """Everything kept of one task, or of one person: tasks labelled ``subject``, and feedback of that actor.

    Raises ExperienceStoreUnavailable, ColdTierUnavailable; repeated, it goes on where it ended.
    """
    with closing(opened(path)) as connection:
        first, last = (0, 0) if subject is None else query(connection, _NUMBERS)[0]
        looked, total = 0, last - first + sum(file.rows for file in cold_files(connection, tenant))
        rows = query(connection, _OF_TASK, tenant, task)
        for after in range(first, last, LOT):
            rows += query(connection, _OF_SUBJECT, after, after + LOT, tenant, subject)
            looked += min(LOT, last - after)
            progress(looked, total)
        tasks = {row[_PLACE["task_id"]] for row in rows} | ({task} if task is not None else set())
        said = _said(connection, tenant, tasks)
        if subject is not None:
            said |= {seq for (seq,) in query(connection, _FEEDBACK_OF_ACTOR, tenant, subject)}
        note(tasks)
        transaction(connection, *removal(rows), _unsaying(said))
        gone = Forgotten(tuple(tasks), len(rows), len(said))

        def look_into(file: ColdFile) -> str:
            nonlocal gone, looked
            looked += file.rows
            try:
                key, found, said = _forget_in(connection, cold, file, _test(task, subject), task, note)
            except ColdFileDamaged:
                outrun_unless_named(connection, file)
                gone = replace(gone, unread=(*gone.unread, file.key))
                return file.key
            tasks.update(row[_PLACE["task_id"]] for row in found)
            gone = replace(gone, records=gone.records + len(found), feedback=gone.feedback + said)
            progress(looked, max(looked, total))
            return key

        visit(connection, tenant, look_into)
        left = tuple(sweep(connection, cold, everything_of=tenant))
        shorten_log(connection)
    return replace(gone, tasks=tuple(sorted(tasks)), left=left)


def _test(task: str | None, subject: str | None) -> Callable[[Row], bool]:
    if task is not None:
        return lambda row: bool(row[_PLACE["task_id"]] == task)
    return lambda row: bool((values_of(row[_PLACE["record"]]).get("labels") or {}).get(SUBJECT_LABEL) == subject)


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
    return replace_file(connection, cold, file, rest, _unsaying(said)), found, len(said)


def _said(connection: sqlite3.Connection, tenant: str, tasks: Collection[str]) -> set[int]:
    """The numbers of all feedback of these tasks."""
    return {seq for each in tasks for (seq,) in query(connection, _FEEDBACK_OF_TASK, tenant, each)}


def _unsaying(said: Collection[int]) -> Step:
    return Step(_UNSAY, [(seq,) for seq in sorted(said)])

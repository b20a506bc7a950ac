"""Records and feedback made ready for the embedded store, then inserted. Called by the SQLite store's write thread."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from evolution.errors import ExperienceRefused
from evolution.privacy.guard import Guard
from evolution.store import sqlite_rows
from schemas.experience import ExperienceRecord, Feedback

Item = ExperienceRecord | Feedback


@dataclass(frozen=True, slots=True)
class Prepared:
    """A row; of a record also what it says once sealed. None instead marks feedback."""

    row: sqlite_rows.Row
    record: ExperienceRecord | None


@dataclass(frozen=True, slots=True)
class Inserted:
    """How many items were new, and the new records by sequence number."""

    new: int
    records: Sequence[tuple[int, ExperienceRecord]]


def prepare(items: Sequence[Item], guard: Guard) -> list[Prepared] | ExperienceRefused:
    """All of the items, or why one of them can never be stored. Raises KeysUnusable."""
    try:
        return [_prepared(item, guard) for item in items]
    except ExperienceRefused as refusal:
        return refusal


def insert(connection: sqlite3.Connection, items: Sequence[Prepared]) -> Inserted:
    """Within the caller's transaction; what is there already stays as it is."""
    feedback, records = 0, []
    for item in items:
        if item.record is None:
            feedback += connection.execute(sqlite_rows.INSERT_FEEDBACK, item.row).rowcount
            continue
        cursor = connection.execute(sqlite_rows.INSERT_RECORD, item.row)
        if cursor.rowcount and cursor.lastrowid is not None:
            records.append((cursor.lastrowid, item.record))
            tenant, at_us, agents = item.row[0], item.row[3], sorted(set(item.record.chosen))
            rows = [(tenant, agent, at_us, cursor.lastrowid) for agent in agents]
            connection.executemany(sqlite_rows.INSERT_CHOSEN, rows)
    return Inserted(feedback + len(records), records)


def _prepared(item: Item, guard: Guard) -> Prepared:
    if isinstance(item, Feedback):
        return Prepared(sqlite_rows.feedback_row(item, guard), None)
    sealed, row = sqlite_rows.sealed_row(item, guard)
    return Prepared(row, sealed)

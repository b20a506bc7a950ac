"""The embedded store's file as the cold tier changes it: beside the recorder, in short transactions.

Several processes may compact, forget and seal anew at once. What one of them prepares from rows that it has read holds
only while those rows are as they were: such a step is *exact*, and where it meets anything else nothing is changed.
"""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evolution.errors import ExperienceStoreUnavailable
from evolution.store import sqlite_schema
from evolution.store.sqlite_advice import advice
from evolution.tiers.cold_rows import Row


class Outrun(Exception):
    """What a change rests on is not so any more. Nothing was changed: look again."""


class Step(NamedTuple):
    """A statement and the rows of values it is run with; ``exact``: each of them must change one row."""

    sql: str
    values: Sequence[Row]
    exact: bool = False


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


def transaction(connection: sqlite3.Connection, *steps: Step) -> None:
    """All steps or none. Raises Outrun for an exact step that is not, ExperienceStoreUnavailable."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        for step in steps:
            changed = connection.executemany(step.sql, step.values).rowcount
            if step.exact and changed != len(step.values):
                connection.execute("ROLLBACK")
                raise Outrun
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise ExperienceStoreUnavailable(f"the experience store cannot be changed: {advice(error)}") from error


def shorten_log(connection: sqlite3.Connection) -> None:
    """What was removed must not lie on in the log beside the file. Raises ExperienceStoreUnavailable.

    Most of the log goes into the file beside whoever writes; cutting it off, which holds them up, then takes little.
    """
    for how in ("PASSIVE", "TRUNCATE"):
        query(connection, f"PRAGMA wal_checkpoint({how})")

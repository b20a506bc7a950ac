"""Changes that reach into files of the cold tier: a new file takes the place of the old one, which is never changed.

Called by forgetting and by sealing anew. Synchronous, and safe beside others who change the same files.
"""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from evolution.tiers.cold_files import ColdFile, ColdFiles
from evolution.tiers.cold_names import cold_files, dropping, key_of, withdraw, written
from evolution.tiers.cold_rows import Row
from evolution.tiers.embedded_file import Outrun, Step, transaction

logger = logging.getLogger(__name__)


def visit(connection: sqlite3.Connection, tenant: str, change: Callable[[ColdFile], str]) -> None:
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


def outrun_unless_named(connection: sqlite3.Connection, file: ColdFile) -> None:
    """A file that is gone because another took its place is not damaged. Raises Outrun."""
    if file.key not in {each.key for each in cold_files(connection, file.tenant)}:
        raise Outrun


def replace_file(
    connection: sqlite3.Connection, cold: ColdFiles, file: ColdFile, rows: Sequence[Row], *steps: Step
) -> str:
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


def values_of(body: str) -> dict[str, Any]:
    """What a row says; nothing when it was spoiled, which must not stop the others' turn."""
    try:
        values = orjson.loads(body)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        logger.warning("a stored row does not read and is left as it is")
        return {}
    return values

"""Which records were stored since a cursor, by the order in which rows were stored. Called by the SQLite store.

A cursor says how many rows there were, and which was the last, as in ``sqlite_spoken``. Numbers are given in the order
of commits, for only one process writes at a time: whoever has read up to a number has missed none below it. Rows that
went (forgotten, or moved to the cold tier) show by their count. Counting a million rows takes 10 ms.
"""

from collections.abc import Callable, Mapping, Sequence

from evolution.store.sqlite_rows import Row
from evolution.store.sqlite_spoken import Cursor

_HERE = """SELECT (SELECT count(*) FROM experience), last, (SELECT record_id FROM experience WHERE seq = last),
    (SELECT count(*) FROM experience WHERE seq > :after), (SELECT record_id FROM experience WHERE seq = :after)
    FROM (SELECT coalesce(max(seq), 0) AS last FROM experience)"""
"""One statement, so that all of it is of one moment."""

Fetch = Callable[[str, Sequence[object] | Mapping[str, object]], list[Row]]


def span_since(fetch: Fetch, cursor: str | None) -> tuple[str, tuple[int, int] | None]:
    """The cursor of now, and the numbers after which and up to which rows are new; None where that cannot be told."""
    known = Cursor.read(cursor)
    [(rows, last, last_id, new, known_id)] = fetch(_HERE, {"after": known.last if known else 0})
    here = str(Cursor(rows, last, last_id or ""))
    if known is None or (known.rows, known.last_id) != (rows - new, known_id or ""):
        return here, None
    return here, (known.last, last)

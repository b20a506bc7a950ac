"""Of which tasks something was said since a cursor, by the moment at which it was stored. Called by the InfluxDB store.

A cursor is the moment of asking. Whatever was stored in the minutes before is named again: clocks of writing processes
differ, and a write shows a little after its moment. Feedback of releases that did not note that moment is never named.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from evolution.ports import Spoken
from evolution.store import influx_flux
from evolution.store.influx_flux import Flux
from evolution.store.moments import microseconds, within
from schemas.base import now

OVERLAP_US = 300_000_000
"""How far the clocks of evolution processes may differ, with the time that a write takes, retries included."""
_KIND = "influx."


async def spoken_of(
    query: Callable[[Flux], Awaitable[list[dict[str, Any]]]], bucket: str, cursor: str | None
) -> Spoken:
    """One question where nothing was said, two where something was; none at the beginning."""
    moment_us, since_us = microseconds(now()), _read(cursor)
    here = f"{_KIND}{moment_us}"
    # A cursor of the future is of a clock that was put back since: nothing can be said of the time between.
    if since_us is None or since_us > moment_us:
        return Spoken(here, None)
    stored_us = since_us - OVERLAP_US
    moments = [row["_time"] for row in await query(influx_flux.said_since(bucket, stored_us))]
    if not moments:
        return Spoken(here, frozenset())
    rows = await query(influx_flux.tasks_said_since(bucket, stored_us, *within(moments)))
    tasks = {row.get("task_id") for row in rows}
    # Without a task: feedback was removed, and of whom is not kept.
    return Spoken(here, frozenset(map(str, tasks)) if all(tasks) else None)


def _read(cursor: str | None) -> int | None:
    digits = (cursor or "").removeprefix(_KIND)
    return int(digits) if (cursor or "").startswith(_KIND) and digits.isdecimal() else None

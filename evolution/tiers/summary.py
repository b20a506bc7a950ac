"""What happened by the day and agent: from rows while they are hot, from hourly counts ever after.

Called by `aos experience summary`. Synchronous, for a thread.
"""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from evolution.store import sqlite_schema
from evolution.tiers.embedded_file import query

# A cross join is done in the order in which it is written: the other way round, all that was chosen is read again for
# each task, for the key of chosen_agent begins with the agent.
_BY_DAY = """WITH hours AS (
    SELECT hour_us AS at_us, agent_id, tasks, successes, latency_ms, cost FROM hourly
        WHERE tenant = :tenant AND hour_us >= :since AND hour_us < :until
    UNION ALL
    SELECT at_us, '', 1, success, latency_ms, cost FROM experience
        WHERE tenant = :tenant AND at_us >= :since AND at_us < :until
    UNION ALL
    SELECT c.at_us, c.agent_id, 1, e.success, e.latency_ms, e.cost
        FROM chosen_agent c CROSS JOIN experience e USING (seq)
        WHERE c.tenant = :tenant AND c.at_us >= :since AND c.at_us < :until
) SELECT date(at_us / 1000000, 'unixepoch') AS day, agent_id, sum(tasks), sum(successes), sum(latency_ms), sum(cost)
    FROM hours WHERE agent_id = :agent OR (:agent IS NULL) GROUP BY day, agent_id ORDER BY day, agent_id"""


@dataclass(frozen=True, slots=True)
class DayOfAgent:
    """One agent's day; ``agent_id`` is empty for all tasks of the day together."""

    day: str
    agent_id: str
    tasks: int
    successes: int
    mean_latency_ms: float
    mean_cost: float


def summed(
    hours: Mapping[tuple[int, str], tuple[int, int, float, float]], agent_id: str | None = None
) -> list[DayOfAgent]:
    """Days from hours: when one begins (in microseconds) and its agent -> tasks, successes, latency and cost."""
    days: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0, 0, 0.0, 0.0])
    for (hour_us, agent), sums in hours.items():
        if agent_id in (None, agent):
            day = days[f"{datetime.fromtimestamp(hour_us / 1e6, UTC):%Y-%m-%d}", agent]
            day[:] = [one + other for one, other in zip(day, sums, strict=True)]
    return [
        DayOfAgent(day, agent, int(tasks), int(successes), latency_ms / tasks, cost / tasks)
        for (day, agent), (tasks, successes, latency_ms, cost) in sorted(days.items())
    ]


def by_day(path: Path, tenant: str, since_us: int, until_us: int, agent_id: str | None = None) -> list[DayOfAgent]:
    """The days from then until then, oldest first. Raises ExperienceStoreUnavailable."""
    with closing(sqlite_schema.open_for_reading(path)) as connection:
        rows = query(connection, _BY_DAY, {"tenant": tenant, "since": since_us, "until": until_us, "agent": agent_id})
    return [
        DayOfAgent(day, agent, tasks, successes, latency_ms / tasks, cost / tasks)
        for day, agent, tasks, successes, latency_ms, cost in rows
    ]

"""Keeps house in InfluxDB: forgets tasks and people, sets how long buckets keep, counts the hours. Called by the desk.

InfluxDB deletes by time, measurement and tags, never by a field. A point's own nanosecond and slot are known from its
id and moment (``influx_points``), so that exactly the point goes. Hours are counted from here, for an agent is no
tag: the same hour counted again overwrites itself, so nothing is counted twice whenever it is ended.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from influxdb_client import Point, WritePrecision

from evolution.errors import ExperienceStoreUnavailable
from evolution.ports import ExperienceQuery
from evolution.store import influx_flux, influx_points, said
from evolution.store.influx_points import FEEDBACK, RECORDS
from evolution.store.influx_server import BucketMissing, InfluxServer
from evolution.store.influx_store import InfluxExperienceStore, bucket_name
from evolution.store.moments import microseconds
from schemas.base import now
from schemas.experience import Feedback

HOURS = "hourly"
SUBJECT_LABEL = "subject"
ALL = "*"
"""The tag of all agents together: no agent can be called so."""
LATE = timedelta(hours=24)
"""Records may be stored so much later than they happened: hours younger than that are counted again."""
FEEDBACK_ROWS = 1000
_HOUR_US = 3_600_000_000

Hour = tuple[int, str]
"""When it begins, in microseconds, and the agent; empty for all tasks of the hour."""
Sums = tuple[int, int, float, float]
"""Tasks, successes, latency in ms, cost."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed: the tasks concerned, and how many points of each sort."""

    tasks: tuple[str, ...]
    records: int
    feedback: int


@dataclass(frozen=True, slots=True)
class Kept:
    """How many buckets have another retention now, and how many hours were counted."""

    buckets: int
    hours: int


class InfluxKeeping:
    """Over one server and the store on it. Raises ExperienceStoreUnavailable."""

    def __init__(self, server: InfluxServer, store: InfluxExperienceStore) -> None:
        self._server = server
        self._store = store

    async def forget(
        self,
        tenant: str,
        *,
        task: str | None = None,
        subject: str | None = None,
        note: Callable[[Collection[str]], None] = lambda _tasks: None,
    ) -> Removed:
        """Everything of one task, or of one person: tasks labelled ``subject``, and feedback of that actor.

        A person's traces are found by reading everything of the tenant: labels are no tags. Repeated, it goes on: what
        was said of a task goes before its record, by which alone it is found. ``note`` is told of the tasks first.
        """
        records = await self._of_task(tenant, task) if task is not None else await self._of_subject(tenant, subject)
        tasks = {task_id for task_id, _, _ in records} | ({task} if task is not None else set())
        remarks = {(each, *place) for each in tasks for place in await self._places(tenant, FEEDBACK, each)}
        if subject is not None:
            remarks |= {(f.task_id, f.feedback_id, f.at) async for f in self._feedback(tenant) if f.actor == subject}
        note(tasks)
        for measurement, places in ((FEEDBACK, remarks), (RECORDS, records)):
            for _, item_id, at in sorted(places):
                await self._remove(tenant, measurement, item_id, at)
        await self._note_removal(tenant)
        for each in sorted(tasks):
            if await self._places(tenant, RECORDS, each) or await self._places(tenant, FEEDBACK, each):
                raise ExperienceStoreUnavailable(f"InfluxDB still shows points of task {each}: repeat the command")
        return Removed(tuple(sorted(tasks)), len(records), len(remarks))

    async def compact(self, retention_s: int, moment: datetime) -> Kept:
        """Every tenant's bucket keeps as long as is set, and its whole hours up to then are counted for ever."""
        buckets = hours = 0
        for tenant in await self._store.tenants():
            buckets += await self._server.keep_for(bucket_name(tenant), retention_s)
            hours += await self._count(tenant, retention_s, moment)
        return Kept(buckets, hours)

    async def counted(self, tenant: str, since_us: int, moment: datetime) -> dict[Hour, Sums]:
        """Hours since then: counted ones as they were counted, what came later from its records."""
        found: dict[Hour, Sums] = {}
        for row in await self._hours(tenant, since_us):
            sums = int(row["tasks"]), int(row["successes"]), float(row["latency_ms"]), float(row["cost"])
            found[microseconds(row["_time"]), "" if row["agent"] == ALL else str(row["agent"])] = sums
        last_us = max((hour_us for hour_us, _ in found), default=None)
        from_us = since_us if last_us is None else max(since_us, last_us + _HOUR_US)
        return found | await self._read(tenant, from_us, microseconds(moment))

    async def _count(self, tenant: str, retention_s: int, moment: datetime) -> int:
        until_us = microseconds(moment) // _HOUR_US * _HOUR_US
        rows = await self._hours(tenant, 0)
        last = max((row["_time"] for row in rows), default=datetime.fromtimestamp(0, UTC))
        # An hour that has begun to expire would be counted too low, over what was counted when it was whole.
        oldest_us = microseconds(moment - timedelta(seconds=retention_s)) // _HOUR_US * _HOUR_US + _HOUR_US
        sums = await self._read(tenant, max(oldest_us, microseconds(last - LATE)), until_us)
        if sums:
            lines = "\n".join(_line(hour, values) for hour, values in sorted(sums.items()))
            try:
                await self._server.write(hours_bucket(tenant), lines)
            except BucketMissing:
                await self._server.create_bucket(hours_bucket(tenant), 0)
                await self._server.write(hours_bucket(tenant), lines)
        return len({hour_us for hour_us, _ in sums})

    async def _read(self, tenant: str, from_us: int, until_us: int) -> dict[Hour, Sums]:
        """Counted from records, hour by hour: no more than one hour's facts are in memory."""
        sums: dict[Hour, Sums] = defaultdict(lambda: (0, 0, 0.0, 0.0))
        for hour_us in range(from_us // _HOUR_US * _HOUR_US, until_us, _HOUR_US):
            start_ns, stop_ns = max(from_us, hour_us) * 1000, (hour_us + _HOUR_US) * 1000
            try:
                rows = await self._server.query(influx_flux.facts(bucket_name(tenant), start_ns, stop_ns))
            except BucketMissing:
                break
            for row in rows:
                add(sums, hour_us, row)
        return dict(sums)

    async def _hours(self, tenant: str, since_us: int) -> list[dict[str, Any]]:
        try:
            return await self._server.query(influx_flux.hours(hours_bucket(tenant), HOURS, since_us * 1000))
        except BucketMissing:
            return []

    async def _of_task(self, tenant: str, task: str) -> set[tuple[str, str, datetime]]:
        return {(task, *place) for place in await self._places(tenant, RECORDS, task)}

    async def _of_subject(self, tenant: str, subject: str | None) -> set[tuple[str, str, datetime]]:
        return {
            (record.task_id, record.record_id, record.at)
            async for batch in self._store.scan(ExperienceQuery(tenant=tenant))
            for record in batch
            if record.labels.get(SUBJECT_LABEL) == subject
        }

    async def _places(self, tenant: str, measurement: str, task: str) -> list[tuple[str, datetime]]:
        id_field = "record_id" if measurement == RECORDS else "feedback_id"
        asked = influx_flux.places_of_task(bucket_name(tenant), measurement, id_field, task)
        try:
            return [(str(row[id_field]), row["_time"]) for row in await self._server.query(asked)]
        except BucketMissing:
            return []

    async def _feedback(self, tenant: str) -> AsyncIterator[Feedback]:
        start_ns = 0
        while True:
            asked = influx_flux.all_feedback(bucket_name(tenant), start_ns, FEEDBACK_ROWS)
            try:
                rows = await self._server.query(asked)
            except BucketMissing:
                return
            for feedback in map(said.without_words, map(influx_points.read_body, rows)):
                if feedback is not None:
                    yield feedback
            if len(rows) < FEEDBACK_ROWS:
                return
            # What shares the last microsecond comes again; a whole page of it would come for ever.
            following_ns = microseconds(rows[-1]["_time"]) * 1000
            start_ns = following_ns if following_ns > start_ns else start_ns + 1000

    async def _remove(self, tenant: str, measurement: str, item_id: str, at: datetime) -> None:
        at_ns = influx_points.point_ns(item_id, at)
        predicate = f'_measurement="{measurement}" AND slot="{influx_points.slot(item_id)}"'
        try:
            await self._server.delete(bucket_name(tenant), at_ns, at_ns + 1, predicate)
        except BucketMissing:
            return

    async def _note_removal(self, tenant: str) -> None:
        """Whoever knows what was said of tasks has to ask again; noted always, for an earlier try may have failed."""
        line = influx_points.removal_point(microseconds(now())).to_line_protocol()
        try:
            await self._server.write(bucket_name(tenant), line)
        except BucketMissing:
            return


def hours_bucket(tenant: str) -> str:
    """Where the counts of a tenant's hours lie, for ever."""
    return f"aos-hours-{tenant}"


def add(sums: dict[Hour, Sums], hour_us: int, row: Mapping[str, Any]) -> None:
    """Count one record of the hour, for all agents together and for each that was chosen."""
    success = row["success"] == "true"
    for agent in ("", *sorted({name for name in str(row["chosen"]).split("|") if name})):
        tasks, successes, latency_ms, cost = sums[hour_us, agent]
        latency, price = float(row["latency_ms"]), float(row["cost"])
        sums[hour_us, agent] = (tasks + 1, successes + success, latency_ms + latency, cost + price)


def _line(hour: Hour, sums: Sequence[float]) -> str:
    hour_us, agent = hour
    tasks, successes, latency_ms, cost = sums
    point = Point(HOURS).tag("agent", agent or ALL).time(hour_us * 1000, WritePrecision.NS)
    point.field("tasks", int(tasks)).field("successes", int(successes))
    return str(point.field("latency_ms", float(latency_ms)).field("cost", float(cost)).to_line_protocol())

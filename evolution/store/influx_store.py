"""Experience in InfluxDB 2, for deployments of many machines: a bucket for each tenant. Built by the wiring.

Concurrent writes become one request a bucket. InfluxDB overwrites a point that is written again, so the store asks
for the ids first and leaves out what is there: the first record stays. Two processes that write the same record at
the same moment write the same point.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from evolution.ports import ExperienceQuery, Recorded, Spoken
from evolution.privacy.guard import OPEN, Guard
from evolution.store import influx_flux, influx_points, influx_spoken, said
from evolution.store.group_commit import GroupCommit
from evolution.store.influx_batch import Item, Key, Prepared, prepare, requests
from evolution.store.influx_flux import Flux
from evolution.store.influx_points import FEEDBACK, RECORDS
from evolution.store.influx_server import BucketMissing, InfluxServer
from evolution.store.moments import microseconds, within
from schemas.base import now
from schemas.experience import ExperienceRecord, Feedback

logger = logging.getLogger(__name__)
RETENTION_DAYS = 90
TAIL_ROWS = 5000
TAIL_IDLE_S = 0.5
TAIL_WINDOW_NS = 3600 * 10**9
"""A record stamped more than an hour before it is stored does not show up in ``tail``."""
TAIL_OVERLAP_US = 2_000_000
"""How far the clocks of writing processes may differ, and how late a write may become visible."""
TAIL_REMEMBERED = 20_000


class InfluxExperienceStore:
    """ExperienceStore over one server; what may be set of the connection is said at InfluxServer."""

    def __init__(
        self,
        url: str,
        *,
        token: str,
        org: str,
        retention_days: int = RETENTION_DAYS,
        timeout_s: float = 10.0,
        attempts: int = 5,
        guard: Guard = OPEN,
    ) -> None:
        self._guard = guard
        self._server = InfluxServer(url, token=token, org=org, timeout_s=timeout_s, attempts=attempts)
        self._retention_s = retention_days * 86400
        self._commits: GroupCommit[Item] = GroupCommit(self._write_groups)

    async def record(self, records: Sequence[ExperienceRecord]) -> int:
        """Acknowledged by the server when it returns."""
        return await self._commits.submit(records)

    async def add_feedback(self, feedback: Sequence[Feedback]) -> int:
        """Acknowledged by the server when it returns."""
        return await self._commits.submit(feedback)

    async def find(self, query: ExperienceQuery) -> list[ExperienceRecord]:
        """Newest first; without a tenant every tenant's bucket is asked."""
        found: list[ExperienceRecord] = []
        for bucket in await self._buckets(query.tenant):
            narrow = await self._narrowed(bucket, query)
            if narrow is not None:
                found += _distinct(await self._records(influx_flux.newest(bucket, narrow)))
        return sorted(found, key=lambda record: record.at, reverse=True)[: query.limit]

    async def scan(self, query: ExperienceQuery, batch_rows: int = 1000) -> AsyncIterator[list[ExperienceRecord]]:
        """Oldest first within each tenant; tenants follow one another."""
        for bucket in await self._buckets(query.tenant):
            narrow = await self._narrowed(bucket, query)
            start_ns, seen = 0, set[str]()
            while narrow is not None:
                limit = batch_rows + len(seen)
                rows = await self._records(influx_flux.oldest_from(bucket, narrow, start_ns, limit))
                fresh = [record for record in _distinct(rows) if record.record_id not in seen][:batch_rows]
                if fresh:
                    yield fresh
                if len(rows) < limit or not fresh:
                    break
                start_ns = _ns(fresh[-1])
                seen = {record.record_id for record in rows if _ns(record) == start_ns}

    async def feedback_by_task(self, tenant: str, task_ids: Collection[str]) -> dict[str, list[Feedback]]:
        """Oldest first; of each lot of tasks first the moments, so that little else is read."""
        bucket, bodies = bucket_name(tenant), list[str]()
        for lot in said.lots(task_ids):
            moments = [row["_time"] for row in await self._query(influx_flux.moments_of(bucket, FEEDBACK, lot))]
            if moments:
                rows = await self._query(influx_flux.feedback_of(bucket, lot, *within(moments)))
                bodies += map(influx_points.read_body, rows)
        return await asyncio.to_thread(said.by_task, task_ids, bodies, self._guard)

    async def spoken_of(self, tenant: str, cursor: str | None) -> Spoken:
        """By the moments at which it was stored, overlapping by five minutes."""
        return await influx_spoken.spoken_of(self._query, bucket_name(tenant), cursor)

    async def recorded_since(self, tenant: str, cursor: str | None) -> Recorded:
        """Never told: a write may show late, and nothing numbers it."""
        return Recorded("", None)

    async def tail(self, query: ExperienceQuery, latest: int = 0) -> AsyncIterator[ExperienceRecord]:
        """Polls every 500 ms for what was stored since, in each bucket, overlapping by 2 s; remembers the ids seen."""
        floor_us = 0 if query.since is not None else microseconds(now())
        cursors: dict[str, int] = {}
        seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        caught_up = query.since is None
        if latest and query.since is None:
            for record in reversed(await self.find(replace(query, until=None, limit=latest))):
                seen[record.tenant, record.record_id] = None
                yield record
        while True:
            full = False
            for bucket in await self._buckets(query.tenant):
                start_ns = microseconds(now()) * 1000 - TAIL_WINDOW_NS if caught_up else 0
                from_us = max(floor_us, cursors.get(bucket, floor_us))
                asked = influx_flux.stored_from(bucket, replace(query, until=None), start_ns, from_us, TAIL_ROWS)
                rows = await self._query(asked)
                for record in map(self._guard.opened, _read(rows)):
                    if (record.tenant, record.record_id) not in seen:
                        seen[record.tenant, record.record_id] = None
                        yield record
                if rows:
                    # A full page goes on where it ended; else what may become visible late is asked for once more.
                    full = full or len(rows) == TAIL_ROWS
                    cursors[bucket] = int(rows[-1]["stored_us"]) - (0 if len(rows) == TAIL_ROWS else TAIL_OVERLAP_US)
            while len(seen) > TAIL_REMEMBERED:
                seen.popitem(last=False)
            if not full:
                caught_up = True
                await asyncio.sleep(TAIL_IDLE_S)

    async def count(
        self, tenant: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> int:
        """Asks the server to count."""
        total = 0
        for bucket in await self._buckets(tenant):
            total += sum(int(row["_value"]) for row in await self._query(influx_flux.count(bucket, since, until)))
        return total

    async def tenants(self) -> list[str]:
        """Those that have a bucket."""
        return sorted(name.removeprefix(bucket_name("")) for name in await self._buckets(None))

    async def close(self) -> None:
        """Writes what waits, then closes the connections."""
        await self._commits.close()
        await self._server.close()

    async def _buckets(self, tenant: str | None) -> list[str]:
        if tenant is not None:
            return [bucket_name(tenant)]
        return [name for name in await self._server.buckets() if _is_ours(name)]

    async def _narrowed(self, bucket: str, query: ExperienceQuery) -> ExperienceQuery | None:
        """The query within the time in which its task's records lie: the server reads by time. None: there are none."""
        if query.task_id is None:
            return query
        asked = influx_flux.moments_of(bucket, RECORDS, [query.task_id])
        moments = [row["_time"] for row in await self._query(asked)]
        if not moments:
            return None
        first, after = within(moments)
        since = first if query.since is None else max(first, query.since)
        until = after if query.until is None else min(after, query.until)
        return replace(query, since=since, until=until) if since < until else None

    async def _records(self, flux: Flux) -> list[ExperienceRecord]:
        return [self._guard.opened(record) for record in _read(await self._query(flux))]

    async def _query(self, flux: Flux) -> list[dict[str, Any]]:
        try:
            return await self._server.query(flux)
        except BucketMissing:
            return []

    async def _write_groups(self, groups: list[Sequence[Item]]) -> Sequence[int | Exception]:
        """What each caller's items came to. The points of all callers travel together, one request for each bucket."""
        prepared = await asyncio.to_thread(prepare, groups, self._guard)
        wanted = [point for points in prepared if isinstance(points, dict) for point in points.values()]
        new = await self._write_new(wanted)
        answers: list[int | Exception] = []
        for points in prepared:
            if not isinstance(points, dict):
                answers.append(points)
                continue
            mine = new & points.keys()
            new -= mine
            answers.append(len(mine))
        return answers

    async def _write_new(self, points: list[Prepared]) -> set[Key]:
        """Writes those that are not there yet and answers their keys."""
        by_place: dict[tuple[str, str], dict[Key, Prepared]] = {}
        for point in points:
            by_place.setdefault((bucket_name(point.tenant), point.measurement), {}).setdefault(point.key, point)
        written: set[Key] = set()
        for (bucket, measurement), wanted in by_place.items():
            there = await self._existing(bucket, measurement, list(wanted.values()))
            fresh = [point for point in wanted.values() if point.item_id not in there]
            for lines in requests(fresh):
                await self._write(bucket, lines)
            written |= {point.key for point in fresh}
        return written

    async def _existing(self, bucket: str, measurement: str, points: list[Prepared]) -> set[str]:
        field = "record_id" if measurement == RECORDS else "feedback_id"
        ids, times = [point.item_id for point in points], [point.at_ns for point in points]
        rows = await self._query(influx_flux.existing(bucket, measurement, field, ids, min(times), max(times) + 1))
        return {str(row["_value"]) for row in rows}

    async def _write(self, bucket: str, lines: str) -> None:
        try:
            await self._server.write(bucket, lines)
        except BucketMissing:
            await self._server.create_bucket(bucket, self._retention_s)
            await self._server.write(bucket, lines)


def bucket_name(tenant: str) -> str:
    """The bucket of a tenant."""
    return f"aos-experience-{tenant}"


def _is_ours(bucket: str) -> bool:
    return bucket.startswith(bucket_name(""))


def _read(rows: list[dict[str, Any]]) -> Iterator[ExperienceRecord]:
    """One point that another release wrote differently must not hide all the others."""
    for row in rows:
        record = influx_points.read_record(row)
        if record is None:
            logger.warning("the record stored at %s does not read as one and is left out", row.get("_time"))
        else:
            yield record


def _distinct(records: list[ExperienceRecord]) -> list[ExperienceRecord]:
    """Each record once: one that arrived with two different moments lies there twice."""
    return list({record.record_id: record for record in reversed(records)}.values())[::-1]


def _ns(record: ExperienceRecord) -> int:
    return influx_points.point_ns(record.record_id, record.at)

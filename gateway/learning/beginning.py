"""What a learner studies before anything new: of each tenant its latest records, and some of the days before these.

In a fleet that does hundreds of tasks a second the latest records are those of two minutes. What is done at night, or
once a week, is known from the days before, of which every part has its say. Called by ``school``.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

from agents.matching.live.past import CAPACITY
from evolution.ports import ExperienceQuery, ExperienceStore
from schemas.experience import ExperienceRecord

LATEST_IN_ALL = 4 * CAPACITY
"""Shared by all tenants: about a minute of CPU."""
LATEST_LEAST = 2_048
BEFORE = timedelta(days=7)
PARTS = 64
"""Of each so many records are asked that all together are half of the latest."""


def latest_of_each(tenants: int) -> int:
    """How many of its latest records each of so many tenants is begun with."""
    return min(CAPACITY, max(LATEST_LEAST, LATEST_IN_ALL // max(1, tenants)))


async def latest_records(store: ExperienceStore, tenant: str, until: datetime, most: int) -> list[ExperienceRecord]:
    """The tenant's latest ``most`` before ``until``, oldest first. A record takes some 20 KB of memory."""
    latest = await store.find(ExperienceQuery(tenant=tenant, until=until, limit=most))
    return latest[::-1]


async def days_before(
    store: ExperienceStore, tenant: str, latest: Sequence[ExperienceRecord]
) -> AsyncIterator[list[ExperienceRecord]]:
    """Records of each part of the days before the ``latest``, oldest first: all in all half as many as these."""
    until, known = latest[0].at, {record.record_id for record in latest}
    step = BEFORE / PARTS
    for part in range(PARTS, 0, -1):
        start = until - part * step
        limit = max(1, len(latest) // 2 // PARTS)
        found = await store.find(ExperienceQuery(tenant=tenant, since=start, until=start + step, limit=limit))
        yield [record for record in reversed(found) if record.record_id not in known]

"""What a learner studies before anything new: of each tenant its latest records, and some of the days before these.

In a fleet that does hundreds of tasks a second the latest records are those of two minutes. What is done at night, or
once a week, is known from the days before, of which every part has its say. Called by ``school``.
"""

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


async def records_to_begin_with(
    store: ExperienceStore, tenant: str, until: datetime, most: int
) -> list[ExperienceRecord]:
    """The tenant's before ``until``, oldest first: the latest ``most``, and up to half as many of the days before."""
    latest = await store.find(ExperienceQuery(tenant=tenant, until=until, limit=most))
    latest.reverse()
    earlier = await _earlier(store, tenant, latest[0].at, most // 2) if len(latest) == most else []
    known = {record.record_id for record in latest}
    return [*(record for record in earlier if record.record_id not in known), *latest]


async def _earlier(store: ExperienceStore, tenant: str, until: datetime, most: int) -> list[ExperienceRecord]:
    step = BEFORE / PARTS
    found: list[ExperienceRecord] = []
    for part in range(PARTS, 0, -1):
        start = until - part * step
        query = ExperienceQuery(tenant=tenant, since=start, until=start + step, limit=max(1, most // PARTS))
        found += reversed(await store.find(query))
    return found

"""What a learner that starts anew begins with: every tenant's own past, however much another does, and days before."""

import asyncio
from datetime import timedelta

import pytest

from evolution.errors import ExperienceStoreUnavailable
from evolution.policies.bucket import PolicyBucket
from evolution.store.sqlite_store import SqliteExperienceStore
from gateway.learning import beginning
from gateway.learning.beginning import days_before, latest_of_each, latest_records
from gateway.learning.publishing import Publisher
from gateway.learning.school import School
from gateway.learning.terms import Terms
from schemas.base import now
from tensor_layer.storage.blobs import ObstoreBlobs
from tests.unit.evolution.a_week import a_week

OFTEN = Terms(every_outcomes=1, every_s=0.1, least_outcomes=10, least_s=0.0)
TOOK_IN = 60


@pytest.fixture
async def store(tmp_path):
    store = SqliteExperienceStore(tmp_path / "experience.sqlite")
    yield store
    await store.close()


def of_tenant(tenant: str, count: int, **changes):
    return [
        record.model_copy(update={"tenant": tenant, "record_id": f"{tenant}-{record.record_id}", **changes})
        for record in a_week(count)
    ]


async def known_agents(bucket: PolicyBucket, tenant: str) -> set[str]:
    state = (await bucket.state(tenant)).state
    return set((await bucket.version(tenant, state.active)).standings) if state.active else set()


async def until_known(bucket: PolicyBucket, tenant: str) -> None:
    async with asyncio.timeout(TOOK_IN):
        while "clerk" not in await known_agents(bucket, tenant):
            await asyncio.sleep(0.05)


async def studied(bucket: PolicyBucket) -> int:
    """How many records the version in force learned from."""
    state = (await bucket.state("default")).state
    return (await bucket.version("default", state.active)).lineage.records if state.active else 0


def school(nc, store, tmp_path) -> School:
    publisher = Publisher(PolicyBucket(nc.jetstream()), ObstoreBlobs.from_url(tmp_path.as_uri()), review_beyond=1.0)
    return School(nc, store, publisher, OFTEN)


async def test_a_tenant_that_does_little_is_not_crowded_out_by_one_that_does_much(nc, js, store, tmp_path, monkeypatch):
    monkeypatch.setattr(beginning, "LATEST_IN_ALL", 100)
    monkeypatch.setattr(beginning, "LATEST_LEAST", 50)
    await store.record(of_tenant("little", 40))
    await store.record([*of_tenant("much", 300)])
    stop = asyncio.Event()
    running = asyncio.create_task(school(nc, store, tmp_path).run(stop))
    try:
        for tenant in ("little", "much"):
            await until_known(PolicyBucket(nc.jetstream()), tenant)
    finally:
        stop.set()
        await running


async def test_every_part_of_the_days_before_the_latest_has_its_say(store):
    week = a_week(600)
    await store.record(week)
    latest = await latest_records(store, "default", now(), 128)
    assert [record.record_id for record in latest] == [record.record_id for record in week[-128:]]
    parts = [part async for part in days_before(store, "default", latest)]
    before = [record for part in parts for record in part]
    assert [len(part) for part in parts if part] == [1] * (64 - _parts_without(week[:-128]))
    assert [record.at for record in before] == sorted(record.at for record in before)
    assert not {record.record_id for record in before} & {record.record_id for record in latest}
    days = {(week[-1].at - record.at) // timedelta(days=1) for record in [*before, *latest]}
    assert days == set(range(7))


def _parts_without(before) -> int:
    """Of the 64 parts of the seven days before the latest, how many are older than anything."""
    end, step = before[-1].at, timedelta(days=7) / 64
    return sum(end - (part - 1) * step < before[0].at for part in range(1, 65))


async def test_a_past_that_is_short_is_begun_with_whole(store):
    week = a_week(50)
    await store.record(week)
    latest = await latest_records(store, "default", now(), 128)
    assert [record.record_id for record in latest] == [record.record_id for record in week]


async def test_no_version_is_made_of_half_a_past(nc, js, store, tmp_path, monkeypatch):
    monkeypatch.setattr(beginning, "LATEST_IN_ALL", 256)
    monkeypatch.setattr(beginning, "LATEST_LEAST", 256)
    monkeypatch.setattr("gateway.learning.school.WAITING_MAX", 1)
    await store.record(a_week(600))
    bucket, stop = PolicyBucket(nc.jetstream()), asyncio.Event()
    running = asyncio.create_task(school(nc, store, tmp_path).run(stop))
    try:
        await until_known(bucket, "default")
        assert await studied(bucket) >= 256 + 64
    finally:
        stop.set()
        await running


@pytest.mark.parametrize(("tenants", "each"), [(0, 20_480), (1, 20_480), (4, 20_480), (8, 10_240), (1_000, 2_048)])
def test_many_tenants_share_what_is_studied_at_the_start(tenants: int, each: int):
    assert latest_of_each(tenants) == each


class Away(SqliteExperienceStore):
    """Its tail breaks off once, after three records."""

    broken = False

    async def tail(self, query, latest=0):
        self.asked_since = query.since
        seen = 0
        async for record in super().tail(query, latest):
            yield record
            seen += 1
            if seen == 3 and not self.broken:
                self.broken = True
                raise ExperienceStoreUnavailable("away")


async def test_after_an_outage_of_the_store_learning_goes_on_where_it_was(nc, js, tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.learning.school.RETRY_S", 0.01)
    store = Away(tmp_path / "experience.sqlite")
    await store.record(a_week(40))
    bucket, stop = PolicyBucket(nc.jetstream()), asyncio.Event()
    running = asyncio.create_task(school(nc, store, tmp_path).run(stop))
    try:
        await until_known(bucket, "default")
        first = now()
        later = [
            record.model_copy(update={"record_id": f"later-{at}", "at": first + timedelta(minutes=at)})
            for at, record in enumerate(a_week(6))
        ]
        await store.record(later)
        async with asyncio.timeout(TOOK_IN):
            while await studied(bucket) < 46:
                await asyncio.sleep(0.05)
        assert store.broken
        assert store.asked_since > first
        assert await studied(bucket) == 46
    finally:
        stop.set()
        await running
        await store.close()

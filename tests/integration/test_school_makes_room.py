"""The learner's memory does not grow with the tenants: who is idle leaves, is studied anew, and has lost nothing."""

import asyncio
from datetime import timedelta

import pytest

from evolution.policies.bucket import PolicyBucket
from evolution.store.sqlite_store import SqliteExperienceStore
from gateway.learning.publishing import Publisher
from gateway.learning.school import School
from gateway.learning.terms import Terms
from schemas.base import now
from tensor_layer.storage.blobs import ObstoreBlobs
from tests.unit.evolution.a_week import a_week

OFTEN = Terms(every_outcomes=1, every_s=0.1, least_outcomes=10, least_s=0.0)
TENANTS = [f"t{number}" for number in range(6)]
TOOK_IN = 120


def week_of(tenant: str):
    return [
        record.model_copy(update={"tenant": tenant, "record_id": f"{tenant}-{record.record_id}"})
        for record in a_week(40)
    ]


@pytest.fixture
async def store(tmp_path):
    store = SqliteExperienceStore(tmp_path / "experience.sqlite")
    yield store
    await store.close()


async def studied(bucket: PolicyBucket, tenant: str) -> int:
    state = (await bucket.state(tenant)).state
    return (await bucket.version(tenant, state.active)).lineage.records if state.active else 0


async def until_studied(bucket: PolicyBucket, tenant: str, records: int) -> None:
    async with asyncio.timeout(TOOK_IN):
        while await studied(bucket, tenant) < records:
            await asyncio.sleep(0.02)


async def test_tenants_that_do_not_fit_take_turns_and_each_knows_its_whole_past(nc, js, store, tmp_path):
    for tenant in TENANTS:
        await store.record(week_of(tenant))
    bucket = PolicyBucket(nc.jetstream())
    publisher = Publisher(bucket, ObstoreBlobs.from_url(tmp_path.as_uri()), review_beyond=1.0)
    school, stop = School(nc, store, publisher, OFTEN, room_bytes=1), asyncio.Event()
    running = asyncio.create_task(school.run(stop))
    try:
        for tenant in TENANTS:
            await until_studied(bucket, tenant, 40)
        async with asyncio.timeout(TOOK_IN):
            while len(school._pupils.all()) > 1:
                await asyncio.sleep(0.02)
        for number, tenant in enumerate(TENANTS):
            news = week_of(tenant)[-1].model_copy(
                update={"record_id": f"news-{tenant}", "at": now() + timedelta(seconds=number)}
            )
            await store.record([news])
            await until_studied(bucket, tenant, 41)
        async with asyncio.timeout(TOOK_IN):
            while len(school._pupils.all()) > 1:
                await asyncio.sleep(0.02)
        assert set(school._tenants_begun) == {tenant for tenant, _ in school._pupils.all()}
    finally:
        stop.set()
        await running


async def test_who_comes_back_gets_no_version_of_what_it_knew_before(nc, js, store, tmp_path):
    for tenant in TENANTS[:2]:
        await store.record(week_of(tenant))
    bucket = PolicyBucket(nc.jetstream())
    publisher = Publisher(bucket, ObstoreBlobs.from_url(tmp_path.as_uri()), review_beyond=1.0)
    school, stop = School(nc, store, publisher, OFTEN, room_bytes=1), asyncio.Event()
    running = asyncio.create_task(school.run(stop))
    try:
        for tenant in TENANTS[:2]:
            await until_studied(bucket, tenant, 40)
        async with asyncio.timeout(TOOK_IN):
            while [tenant for tenant, _ in school._pupils.all()] != ["t1"]:
                await asyncio.sleep(0.02)
        before = (await bucket.state("t0")).state.active
        await school._begun_with("t0")
        assert dict(school._pupils.all())["t0"].new == 0
        assert (await bucket.state("t0")).state.active == before
    finally:
        stop.set()
        await running

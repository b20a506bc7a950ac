"""What people said is learned from, whoever heard it: stored before the learner starts, on the bus, or kept since."""

import asyncio
import itertools
from contextlib import asynccontextmanager

import pytest

from evolution.errors import PolicyError
from evolution.policies.bucket import PolicyBucket
from evolution.store.sqlite_store import SqliteExperienceStore
from gateway.learning.publishing import Publisher
from gateway.learning.school import School
from gateway.learning.terms import Terms
from schemas import subjects
from schemas.base import now
from schemas.experience import Feedback
from tensor_layer.storage.blobs import ObstoreBlobs
from tests.unit.evolution.a_week import a_week

OFTEN = Terms(every_outcomes=1, every_s=0.1, least_outcomes=10, least_s=0.0)
TOOK_IN = 60


@pytest.fixture
async def store(tmp_path):
    store = SqliteExperienceStore(tmp_path / "experience.sqlite")
    yield store
    await store.close()


@asynccontextmanager
async def school(nc, store, tmp_path, look_back_every_s: float):
    """The learner at work; yields its policies' bucket."""
    bucket, stop = PolicyBucket(nc.jetstream()), asyncio.Event()
    publisher = Publisher(bucket, ObstoreBlobs.from_url(tmp_path.as_uri()), review_beyond=1.0)
    running = asyncio.create_task(School(nc, store, publisher, OFTEN, look_back_every_s).run(stop))
    try:
        yield bucket
    finally:
        stop.set()
        await running


async def successes(bucket: PolicyBucket, agent: str) -> float:
    """What the version in force counts for the agent; 0 before there is one."""
    state = (await bucket.state("default")).state
    if state.active is None:
        return 0.0
    standing = (await bucket.version("default", state.active)).standings.get(agent)
    return standing.successes if standing else 0.0


async def until(bucket: PolicyBucket, agent: str, holds) -> None:
    async with asyncio.timeout(TOOK_IN):
        while not holds(await successes(bucket, agent)):
            await asyncio.sleep(0.05)


def panned(week, agent: str) -> list[Feedback]:
    """Every answer of that agent was worthless."""
    return [
        Feedback(task_id=record.task_id, tenant=record.tenant, at=now(), thumbs_up=False)
        for record in week
        if record.chosen[0] == agent
    ]


async def test_what_was_said_before_the_learner_started_counts_from_its_first_version(nc, js, store, tmp_path):
    week = a_week(80)
    await store.record(week)
    await store.add_feedback(panned(week, "clerk"))
    async with school(nc, store, tmp_path, look_back_every_s=3600) as bucket:
        await until(bucket, "poet", lambda count: count > 3)
        assert await successes(bucket, "clerk") < 0.1


@pytest.mark.parametrize("heard", ["on the bus", "in the store"])
async def test_what_is_said_later_is_heard_at_once_or_found_in_the_store(nc, js, store, tmp_path, heard):
    week = a_week(80)
    await store.record(week)
    on_bus = heard == "on the bus"
    async with school(nc, store, tmp_path, look_back_every_s=3600 if on_bus else 0.1) as bucket:
        await until(bucket, "clerk", lambda count: count > 3)
        if on_bus:
            for remark in panned(week, "clerk"):
                await nc.publish(subjects.feedback(remark.tenant), remark.model_dump_json().encode())
        else:
            await store.add_feedback(panned(week, "clerk"))
        await until(bucket, "clerk", lambda count: count < 0.1)


class AskedStore(SqliteExperienceStore):
    """Notes of how many tasks each look asked, once its answer is there."""

    def __init__(self, path) -> None:
        super().__init__(path)
        self.asked: list[int] = []

    async def feedback_by_task(self, tenant, task_ids):
        found = await super().feedback_by_task(tenant, task_ids)
        self.asked.append(len(found))
        return found


async def test_looking_back_asks_of_tasks_that_are_new_or_that_something_was_said_of(nc, js, tmp_path):
    store, week = AskedStore(tmp_path / "experience.sqlite"), a_week(80)
    first, later = week[:-20], week[-20:]
    # Stored before the learner starts, of tasks whose records come when it has looked.
    await store.add_feedback(panned(later, "clerk"))
    await store.record(first)

    async def looks(count: int) -> None:
        async with asyncio.timeout(TOOK_IN):
            while len(store.asked) < count:
                await asyncio.sleep(0.01)

    async with school(nc, store, tmp_path, look_back_every_s=0.05) as bucket:
        await until(bucket, "clerk", lambda count: count > 3)
        await looks(len(store.asked) + 2)
        assert store.asked[0] == len(first)
        await store.record(later)
        judged = panned(first, "clerk")
        await store.add_feedback(judged)
        await until(bucket, "clerk", lambda count: count < 0.1)
        await looks(len(store.asked) + 2)
        assert store.asked[-1] == 0
        # At the beginning, and once by looking back; then nothing but what is new.
        assert sum(store.asked) <= 2 * len(first) + len(later) + len(judged)
    await store.close()


class EndlessStore(SqliteExperienceStore):
    """Has ever more records, faster than anybody studies them."""

    told = 0

    def __init__(self, path):
        super().__init__(path)
        self.awaited, self.reached = 0, asyncio.Event()

    async def tail(self, query, latest=0):
        for record in itertools.cycle(a_week(80)):
            self.told += 1
            if self.awaited and self.told >= self.awaited:
                self.reached.set()
            yield record
            await asyncio.sleep(0)


class BusyPublisher:
    """Publishes nothing before it is allowed to; nothing is studied meanwhile."""

    def __init__(self) -> None:
        self.asked, self.allowed = asyncio.Event(), asyncio.Event()

    async def publish(self, tenant, pupil):
        self.asked.set()
        await self.allowed.wait()
        raise PolicyError("it was only asked")


async def test_what_cannot_be_studied_yet_stays_in_the_store(nc, js, tmp_path, monkeypatch):
    monkeypatch.setattr("gateway.learning.school.WAITING_MAX", 50)
    store, publisher, stop = EndlessStore(tmp_path / "experience.sqlite"), BusyPublisher(), asyncio.Event()
    running = asyncio.create_task(School(nc, store, publisher, OFTEN, 3600).run(stop))
    async with asyncio.timeout(TOOK_IN):
        await publisher.asked.wait()
    before = store.told
    for _ in range(500):
        await asyncio.sleep(0)
    assert store.told <= before + 50
    store.awaited = before + 100
    publisher.allowed.set()
    async with asyncio.timeout(TOOK_IN):
        await store.reached.wait()
    stop.set()
    await running
    await store.close()

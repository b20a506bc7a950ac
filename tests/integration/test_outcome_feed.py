"""Outcomes on a real bus: decoded once for all who learn, in their order, whatever one of them or a message spoils."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from nats.aio.client import Client

from agents.outcome_feed import AT_ONCE, OutcomeFeed
from gateway.bus.connection import connect
from gateway.embedded.nats_server import NatsServer
from schemas import subjects
from schemas.experience import ExperienceRecord
from schemas.task import TaskState

WITHIN_S = 30.0


def record(number: int) -> ExperienceRecord:
    return ExperienceRecord(
        record_id=f"r{number}", task_id=f"t{number}", tenant="default", state=TaskState.SUCCEEDED, success=True,
        latency_ms=1, cost=0,
    )  # fmt: skip


class Learner:
    def __init__(self, wanted: int, fails: bool = False) -> None:
        self.heard: list[ExperienceRecord] = []
        self.largest_lot = 0
        self.full = asyncio.Event()
        self._wanted, self._fails = wanted, fails

    def learn(self, records: Sequence[ExperienceRecord]) -> None:
        self.heard += records
        self.largest_lot = max(self.largest_lot, len(records))
        if len(self.heard) >= self._wanted:
            self.full.set()
        if self._fails:
            raise RuntimeError("cannot learn")


async def test_every_learner_hears_every_outcome_once_in_order(nc, js):
    count = 3 * AT_ONCE + 5
    spoilt, good = Learner(count, fails=True), Learner(count)
    feed = OutcomeFeed(nc, (spoilt.learn, good.learn), hand_on_every_s=0.05)
    await feed.start()
    for number in range(count):
        if number == 7:
            await js.publish(subjects.experience("default"), b'{"record_id": "damaged"')
        await js.publish(subjects.experience("default"), record(number).model_dump_json().encode())
    async with asyncio.timeout(WITHIN_S):
        await asyncio.gather(spoilt.full.wait(), good.full.wait())
    await feed.stop()
    assert [one.task_id for one in good.heard] == [f"t{number}" for number in range(count)]
    assert good.heard == spoilt.heard
    assert all(mine is theirs for mine, theirs in zip(good.heard, spoilt.heard, strict=True))
    assert good.largest_lot <= AT_ONCE


async def test_after_its_end_nothing_is_heard(nc, js):
    learner = Learner(1)
    feed = OutcomeFeed(nc, (learner.learn,), hand_on_every_s=0.05)
    await feed.start()
    await feed.stop()
    await js.publish(subjects.experience("default"), record(0).model_dump_json().encode())
    await nc.flush()
    assert learner.heard == []


@pytest.fixture
async def deaf(nats_server: NatsServer) -> AsyncIterator[Client]:
    """A connection that does not hear itself, as a worker has it."""
    client = await connect(nats_server.url, "worker", echo=False)
    yield client
    await client.close()


async def test_what_this_worker_wrote_itself_is_heard_once_and_what_others_wrote_too(nc, js, deaf):
    learner = Learner(2)
    feed = OutcomeFeed(deaf, (learner.learn,), hand_on_every_s=0.05)
    await feed.start()
    mine, theirs = record(0), record(1)
    await deaf.jetstream().publish(subjects.experience("default"), mine.model_dump_json().encode())
    feed.wrote(mine)
    await js.publish(subjects.experience("default"), theirs.model_dump_json().encode())
    async with asyncio.timeout(WITHIN_S):
        await learner.full.wait()
    await feed.stop()
    assert learner.heard == [mine, theirs]
    assert learner.heard[0] is mine

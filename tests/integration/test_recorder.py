"""What workers and doors publish ends in the store, once, whatever breaks on the way."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from evolution.bus import ExperienceConsumer
from evolution.ports import ExperienceQuery, ExperienceStore
from evolution.recording import Recorder
from evolution.store.sqlite_store import SqliteExperienceStore
from gateway.embedded.nats_server import NatsServer
from schemas import subjects
from schemas.base import now
from schemas.experience import ExperienceRecord, Feedback
from schemas.task import DeadTask
from tests.unit.evolution.experience_records import MOMENT, a_feedback, a_record, said_of

PATIENCE_S = 30
A_BUS_TAKES_BYTES = 1_000_000
"""In one message, as it comes; the embedded one is set to take more."""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteExperienceStore]:
    sqlite = SqliteExperienceStore(tmp_path / "store" / "experience.db")
    yield sqlite
    await sqlite.close()


@asynccontextmanager
async def recording(nc: Client, store: ExperienceStore, **settings: float) -> AsyncIterator[asyncio.Task[None]]:
    """A recorder at work, stopped gracefully at the end."""
    stop = asyncio.Event()
    settings = {"linger_s": 0.005, "retry_min_s": 0.05, "retry_max_s": 0.2, **settings}
    running = asyncio.create_task(ExperienceConsumer(nc, Recorder(store), **settings).run(stop))
    try:
        yield running
    finally:
        stop.set()
        if not running.cancelled():
            await running


async def publish(js: JetStreamContext, *items: ExperienceRecord | Feedback) -> None:
    for item in items:
        to = subjects.experience if isinstance(item, ExperienceRecord) else subjects.feedback
        await js.publish(to(item.tenant), item.model_dump_json().encode())


async def emptied(js: JetStreamContext) -> None:
    """Until every message of the experience stream was acknowledged."""
    async with asyncio.timeout(PATIENCE_S):
        while (await js.stream_info(subjects.STREAM_EXPERIENCE)).state.messages:
            await asyncio.sleep(0.01)


async def dead(js: JetStreamContext) -> list[DeadTask]:
    count = (await js.stream_info(subjects.STREAM_DEAD)).state.messages
    found = [await js.get_msg(subjects.STREAM_DEAD, seq=seq) for seq in range(1, count + 1)]
    return [DeadTask.model_validate_json(message.data) for message in found]


async def test_a_record_and_its_feedback_are_kept_and_leave_the_stream(nc, js, store):
    record, feedback = a_record(), a_feedback("late-task")
    async with recording(nc, store):
        await publish(js, feedback, record, a_feedback(record.task_id, score=0.5))
        await emptied(js)
    assert await store.find(ExperienceQuery()) == [record]
    assert [f.score for f in await said_of(store, "default", record.task_id)] == [0.5]
    assert await said_of(store, "default", "late-task") == [feedback]


async def test_several_recorders_share_the_work_and_double_nothing(nc, js, store):
    records = [a_record(minutes=i) for i in range(300)]
    async with recording(nc, store, batch=20), recording(nc, store, batch=20), recording(nc, store, batch=20):
        await asyncio.gather(publish(js, *records[:150]), publish(js, *records[150:], *records[:50]))
        await emptied(js)
    assert {r.record_id for r in await store.find(ExperienceQuery())} == {r.record_id for r in records}
    assert await store.count() == 300


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{not json", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"{}", "record_id: Field required"),
        (a_record().model_dump_json().replace('"latency_ms":12.5', '"latency_ms":-1').encode(), "latency_ms"),
        (a_record().model_dump_json().replace('"latency_ms":12.5', '"latency_ms":NaN').encode(), "latency_ms"),
        (a_record().model_dump_json().replace('"cost":0.2', '"cost":Infinity').encode(), "cost of record"),
        (a_record(vector="AAAA").model_dump_json().encode(), "not a multiple of 4"),
        (a_record(tenant="other").model_dump_json().encode(), "tenant 'other'"),
        (a_record(at=now().replace(year=2099)).model_dump_json().encode(), "clock skew"),
        (b'{"record_id":"' + b"x" * 900_000, "only the first"),
        (a_record().model_dump_json().replace('"team":"finance"', f'"{"x" * 900_000}":7').encode(), "labels.xxx"),
    ],
    ids=["json", "utf8", "empty", "negative", "nan", "infinity", "vector", "tenant", "clock", "huge", "long name"],
)
async def test_what_cannot_be_kept_ends_in_the_dead_letters_and_stops_nobody(nc, js, store, payload, reason):
    good = a_record()
    await js.publish(subjects.experience("default"), payload)
    await publish(js, good)
    async with recording(nc, store):
        await emptied(js)
    assert await store.find(ExperienceQuery()) == [good]
    [letter] = await dead(js)
    assert reason in letter.reason
    assert letter.subject == "aos.default.experience"
    assert payload.startswith(base64.b64decode(letter.payload))
    assert len(letter.model_dump_json()) < A_BUS_TAKES_BYTES


async def test_what_a_newer_worker_adds_to_a_record_is_left_out_of_it(nc, js, store):
    record = a_record()
    await js.publish(
        subjects.experience("default"), record.model_dump_json().replace("{", '{"surprise":1,', 1).encode()
    )
    async with recording(nc, store):
        await emptied(js)
    assert await store.find(ExperienceQuery()) == [record]
    assert await dead(js) == []


async def test_feedback_longer_than_a_person_writes_is_refused_with_its_task_id_unread(nc, js, store):
    body = a_feedback("t1").model_dump_json().replace("très bien", "x" * 20_001)
    await js.publish(subjects.feedback("default"), body.encode())
    async with recording(nc, store):
        await emptied(js)
    [letter] = await dead(js)
    assert "comment" in letter.reason
    assert await said_of(store, "default", "t1") == []


async def test_while_the_store_is_down_everything_waits_and_then_arrives_once(nc, js, tmp_path):
    blocker = tmp_path / "folder"
    blocker.write_text("a file where the store's folder should be")
    store = SqliteExperienceStore(blocker / "experience.db")
    records = [a_record(minutes=i) for i in range(40)]
    async with recording(nc, store, batch=16):
        await publish(js, *records)
        await asyncio.wait_for(redelivered(js), PATIENCE_S)
        assert (await js.stream_info(subjects.STREAM_EXPERIENCE)).state.messages == 40
        blocker.unlink()
        await emptied(js)
    assert {r.record_id for r in await store.find(ExperienceQuery())} == {r.record_id for r in records}
    assert await dead(js) == []
    await store.close()


async def redelivered(js: JetStreamContext) -> None:
    while True:
        consumers = await js.consumers_info(subjects.STREAM_EXPERIENCE)
        if any(info.num_redelivered for info in consumers):
            return
        await asyncio.sleep(0.01)


async def test_a_recorder_that_dies_between_commit_and_acknowledgement_leaves_one_record(nc, js, store):
    class DiesAfterCommit(Recorder):
        async def record(self, arrivals):
            await super().record(arrivals)
            committed.set()
            return await asyncio.Future()

    committed = asyncio.Event()
    consumer = ExperienceConsumer(nc, DiesAfterCommit(store), ack_wait_s=1.0)
    dying = asyncio.create_task(consumer.run(asyncio.Event()))
    record = a_record()
    await publish(js, record)
    await asyncio.wait_for(committed.wait(), PATIENCE_S)
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    async with recording(nc, store, ack_wait_s=1.0):
        await emptied(js)
    assert await store.find(ExperienceQuery()) == [record]


async def test_the_server_may_be_killed_while_records_flow(nats_server: NatsServer, nc, js, store):
    records = [a_record(minutes=i) for i in range(60)]
    async with recording(nc, store, batch=10, ack_wait_s=1.0):
        await publish(js, *records[:30])
        nats_server.kill()
        await nats_server.start()
        async with asyncio.timeout(PATIENCE_S):
            while not nc.is_connected:
                await asyncio.sleep(0.01)
        await publish(js, *records[30:])
        await emptied(js)
    assert {r.record_id for r in await store.find(ExperienceQuery())} == {r.record_id for r in records}


async def test_the_consumer_may_be_deleted_while_the_recorder_runs(nc, js, store):
    async with recording(nc, store):
        await publish(js, a_record())
        await emptied(js)
        await js.delete_consumer(subjects.STREAM_EXPERIENCE, "experience-recorder")
        await publish(js, a_record())
        await emptied(js)
    assert await store.count() == 2


async def test_a_recorder_that_starts_before_the_stream_waits_for_it(nc, store):
    from gateway.bus.ensuring import ensure
    from gateway.bus.streams import Quotas

    async with recording(nc, store):
        js = nc.jetstream(timeout=10)
        await ensure(js, Quotas().scaled(0.05))
        await publish(js, a_record(at=MOMENT))
        await emptied(js)
    assert await store.count() == 1

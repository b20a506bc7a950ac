"""Contents that nothing names leave the object store; whatever a task still needs stays, wherever its task stands."""

import asyncio
import base64
import os
import time

import pytest

from agents.running.checkpoint_stream import DELIVERY_OVERHEAD_BYTES, HEADERS_BYTES, CheckpointStream
from agents.running.frames import Value
from evolution.errors import PolicyDamaged
from evolution.policies.bucket import PolicyBucket
from gateway.keeping.contents import ContentSweep, Swept
from gateway.keeping.references import References
from schemas import checkpoint_subjects, subjects
from schemas.parts import BlobRef, Part
from schemas.policy import dumps
from schemas.task import DeadTask, Priority, TaskRecord, TaskResult, TaskState, TaskSubmitted
from schemas.wire import encode
from tensor_layer.errors import ContentsOfAnother
from tensor_layer.storage.blobs import ObstoreBlobs, key_of
from tensor_layer.storage.unused import UnusedContents
from tests.integration.http_door import in_process, open_app
from tests.integration.test_policy_registry import a_policy

DAY_S = 86_400.0


class Office:
    """An object store in a folder, whose contents can be made old, and the sweep over it."""

    def __init__(self, nc, js, folder):
        self.js, self.folder = js, folder
        self.blobs = ObstoreBlobs.from_url(folder.as_uri())
        self.checkpoints = CheckpointStream(nc)
        self.sweep_of = ContentSweep(References(nc, js), UnusedContents.from_url(folder.as_uri()), 7 * DAY_S, 0)

    async def old(self, words: str, days: float = 8) -> BlobRef:
        ref = await self.blobs.put_bytes(words.encode())
        self.age(ref, days)
        return ref

    def age(self, ref: BlobRef, days: float) -> None:
        then = time.time() - days * DAY_S
        os.utime(self.folder / key_of(ref), (then, then))

    async def sweep(self) -> Swept:
        return await self.sweep_of.sweep()

    async def stays(self, ref: BlobRef) -> bool:
        assert (await self.sweep()).contents == 0
        return await self.blobs.exists(ref)

    async def goes(self, ref: BlobRef) -> bool:
        assert await self.sweep() == Swept(1, ref.size_bytes)
        return not await self.blobs.exists(ref)


@pytest.fixture
def office(nc, js, tmp_path):
    return Office(nc, js, tmp_path / "blobs")


def task(ref: BlobRef) -> TaskSubmitted:
    return TaskSubmitted(task_id="t1", parts=(Part(text="read it"), Part(ref=ref)))


async def test_what_nothing_names_goes_by_age(office):
    old, young = await office.old("old"), await office.old("young", days=6)
    assert await office.goes(old)
    assert await office.stays(young)


async def test_contents_that_another_bus_may_name_stay(office, js):
    ref = await office.old("theirs")
    await office.sweep_of._contents.claim("the bus of others")
    with pytest.raises(ContentsOfAnother, match="the bus of others"):
        await office.sweep()
    assert await office.blobs.exists(ref)


@pytest.mark.parametrize("content_type", [subjects.CONTENT_JSON, subjects.CONTENT_PROTOBUF])
async def test_a_task_in_the_queue_and_its_dead_letter_keep_it(office, js, content_type):
    ref = await office.old("attached")
    message = encode(task(ref), content_type)
    queued = await js.publish(subjects.submit("default", Priority.NORMAL), message)
    assert await office.stays(ref)
    letter = DeadTask(
        task_id="t1", tenant="default", reason="gave up", code="poison", payload=base64.b64encode(message).decode()
    )
    buried = await js.publish(subjects.dead("default"), letter.model_dump_json().encode())
    await js.delete_msg(subjects.STREAM_TASKS, queued.seq)
    assert await office.stays(ref)
    await js.delete_msg(subjects.STREAM_DEAD, buried.seq)
    assert await office.goes(ref)


async def test_a_task_that_waits_for_a_person_and_a_result_keep_it(office, js):
    ref, result = await office.old("attached"), await office.old("made of it")
    bucket = await js.key_value(subjects.BUCKET_TASKS)
    waiting = TaskRecord(task_id="t1", tenant="default", state=TaskState.AWAITING_APPROVAL, submission=task(ref))
    done = TaskRecord(
        task_id="t2", tenant="other", state=TaskState.SUCCEEDED, result=TaskResult(outputs=(Part(ref=result),))
    )
    for record in (waiting, done):
        await bucket.put(f"{record.tenant}.{record.task_id}", record.model_dump_json().encode())
    assert await office.stays(ref)
    await bucket.purge("default.t1")
    assert await office.goes(ref)
    assert await office.blobs.exists(result)


async def test_a_checkpoint_that_is_larger_than_a_message_keeps_what_its_parts_name_between_them(office, js, nc):
    ref = await office.old("from a step")
    place = checkpoint_subjects.checkpoint("default.t1", "", "c1")
    part_bytes = nc.max_payload - HEADERS_BYTES - DELIVERY_OVERHEAD_BYTES
    for before in (part_bytes - 35, 100):  # across two messages, and in one
        body = ref.digest.encode().join([b"x" * before, b"x" * part_bytes])
        await office.checkpoints.put(place, Value("bytes", body))
        assert await office.stays(ref)
    await office.checkpoints.purge(checkpoint_subjects.of_thread("default.t1"))
    assert await office.goes(ref)


async def test_a_policy_keeps_its_parts_and_one_that_does_not_read_keeps_everything(office, js):
    ref, nobodys = await office.old("past"), await office.old("nobody's")
    bucket = PolicyBucket(js)
    await bucket.put("default", dumps(a_policy("learned-1", artefacts={"past": ref.digest})))
    kv = await js.key_value(subjects.BUCKET_POLICY)
    await kv.put(subjects.policy_version_key("other", "cut"), b"cut off")
    with pytest.raises(PolicyDamaged, match="policy cut of tenant other"):
        await office.sweep()
    assert await office.blobs.exists(nobodys)
    await bucket.forget("other", "cut")
    assert await office.goes(nobodys)
    assert await office.blobs.exists(ref)


async def test_a_door_that_takes_a_task_with_an_old_content_keeps_it(office, nc, js, tmp_path):
    async with in_process(await open_app(nc, js, tmp_path)) as client:
        ref = await office.old("again", days=30)
        accepted = await client.post("/v1/tasks", json={"parts": [{"text": "read it"}, {"ref": ref.model_dump()}]})
        assert accepted.status_code == 202
        await js.purge_stream(subjects.STREAM_TASKS)
        assert await office.stays(ref)
        office.age(ref, 30)
        assert (await client.post("/v1/blobs", content=b"again")).json()["digest"] == ref.digest
        assert await office.stays(ref)


async def test_a_task_that_is_buried_while_the_bus_is_read_keeps_its_content(office, js, monkeypatch):
    ref = await office.old("attached")
    message = encode(task(ref), subjects.CONTENT_JSON)
    queued = await js.publish(subjects.submit("default", Priority.NORMAL), message)
    read = []

    async def bury():
        letter = DeadTask(
            task_id="t1", tenant="default", reason="-", code="-", payload=base64.b64encode(message).decode()
        )
        await js.publish(subjects.dead("default"), letter.model_dump_json().encode())
        await js.delete_msg(subjects.STREAM_TASKS, queued.seq)

    first = DeadTask(task_id="t0", tenant="default", reason="-", code="-", payload="")
    await js.publish(subjects.dead("default"), first.model_dump_json().encode())
    bodies = office.sweep_of._references._bodies

    async def with_a_burial(stream, subject):
        async for body in bodies(stream, subject):
            yield body
        read.append(stream)
        if len(read) == 1:
            await bury()

    monkeypatch.setattr(office.sweep_of._references, "_bodies", with_a_burial)
    assert await office.stays(ref)


async def test_a_sweep_survives_a_bus_that_is_away(office, nc, caplog):
    await office.old("old")
    office.sweep_of._every_s = 0.05
    await nc.close()
    running = asyncio.create_task(office.sweep_of.run())
    async with asyncio.timeout(30):
        while "stay in the object store for now" not in caplog.text:
            await asyncio.sleep(0.05)
    running.cancel()

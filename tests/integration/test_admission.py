"""Admission keeps its promise: accepted once, never lost, refused clearly."""

import asyncio

import pytest
from nats.js.errors import NotFoundError

from agents.errors import BusUnavailable
from gateway.admission import Admission, identify
from gateway.bus.publishing import Publisher
from gateway.bus.stream_reader import StreamReader
from gateway.claim_check import ClaimCheck
from gateway.content_check import ContentCheck
from gateway.errors import IdempotencyConflict, Overloaded, StoreFull, TaskRefused
from gateway.task_draft import TaskDraft
from gateway.task_ledger import TaskLedger
from schemas import subjects
from schemas.parts import INLINE_LIMIT_BYTES, BlobRef, Part
from schemas.task import Priority, TaskEvent, TaskState, TaskSubmitted
from tensor_layer.storage.blobs import ObstoreBlobs


@pytest.fixture
def blobs(tmp_path):
    (tmp_path / "blobs").mkdir()
    return ObstoreBlobs.from_url(f"file://{tmp_path / 'blobs'}", cache_dir=tmp_path / "cache")


@pytest.fixture
async def ledger(nc, js):
    return await TaskLedger.open(nc, js)


@pytest.fixture
def admission(nc, js, blobs, ledger):
    claim_check = ClaimCheck(blobs, inline_bytes=INLINE_LIMIT_BYTES, attachment_bytes=2**30)
    return Admission(nc, Publisher(nc, js, timeout_s=3.0), ledger, claim_check, ContentCheck(blobs, limit_bytes=2**20))


async def admit(admission, draft, key=None, tenant="default"):
    task_id = identify(tenant, key)
    return await admission.admit(tenant, draft, task_id=task_id, idempotency_key=key)


async def queued(js):
    return (await js.stream_info(subjects.STREAM_TASKS)).state.messages


async def submission(js, seq) -> TaskSubmitted:
    message = await js.get_msg(subjects.STREAM_TASKS, seq=seq)
    return TaskSubmitted.model_validate_json(message.data)


async def test_an_accepted_task_is_in_the_queue_and_on_record(admission, js, ledger):
    accepted = await admit(admission, TaskDraft(text="hello"))
    held = await ledger.get("default", accepted.record.task_id)
    assert held.record.state is TaskState.QUEUED
    assert (await submission(js, held.record.stream_seq)).task_id == accepted.record.task_id


async def test_acceptance_is_told_once(admission, nc):
    draft = TaskDraft(text="hello")
    accepted = await admit(admission, draft, key="k")
    await admit(admission, draft, key="k")
    await nc.flush()
    story = StreamReader(nc, subjects.STREAM_EVENTS).since(1, subjects.event("default", accepted.record.task_id))
    assert [TaskEvent.model_validate_json(event.data).kind async for event in story] == ["accepted"]


async def test_a_text_of_a_megabyte_travels_by_reference(admission, js, blobs):
    text = "word " * 200_000
    accepted = await admit(admission, TaskDraft(text=text, parts=(Part(text="short"),)))
    stored = await js.get_msg(subjects.STREAM_TASKS, seq=accepted.record.stream_seq)
    long, short = TaskSubmitted.model_validate_json(stored.data).parts
    assert len(stored.data) < INLINE_LIMIT_BYTES
    assert await blobs.get(long.ref) == text.encode()
    assert (long.modality, long.media_type, short.text) == ("text", "text/plain", "short")
    assert accepted.record.title.startswith("word word")


async def test_a_reference_to_nothing_is_refused_and_nothing_is_queued(admission, js):
    part = Part(ref=BlobRef(digest="sha256:" + "0" * 64, size_bytes=3))
    with pytest.raises(TaskRefused) as refused:
        await admit(admission, TaskDraft(text="read it", parts=(part,)))
    assert refused.value.code == "attachment_missing"
    assert refused.value.fields[0].field == "parts[1].ref.digest"
    assert await queued(js) == 0


async def test_a_link_that_a_client_put_on_a_reference_reaches_nobody(admission, js, blobs):
    ref = await blobs.put_bytes(b"content")
    linked = ref.model_copy(update={"url": "http://169.254.169.254/secrets"})
    accepted = await admit(admission, TaskDraft(parts=(Part(ref=linked),)))
    assert (await submission(js, accepted.record.stream_seq)).parts[0].ref.url is None


async def test_a_hundred_requests_with_one_key_are_one_task(admission, js):
    accepted = await asyncio.gather(*(admit(admission, TaskDraft(text="once"), key="k") for _ in range(100)))
    assert len({each.record.task_id for each in accepted}) == 1
    assert {each.record.stream_seq for each in accepted} == {1}
    assert sum(not each.repeated for each in accepted) == 1
    assert await queued(js) == 1


async def test_a_key_is_remembered_after_the_bus_has_forgotten_the_message(admission, js):
    first = await admit(admission, TaskDraft(text="once"), key="k")
    await js.purge_stream(subjects.STREAM_TASKS)
    again = await admit(admission, TaskDraft(text="once"), key="k")
    assert again.repeated
    assert again.record.task_id == first.record.task_id
    assert await queued(js) == 0


async def test_the_same_key_with_another_body_is_a_conflict(admission, js):
    await admit(admission, TaskDraft(text="once"), key="k")
    with pytest.raises(IdempotencyConflict):
        await admit(admission, TaskDraft(text="twice"), key="k")
    assert await queued(js) == 1


async def test_concurrent_requests_with_one_key_and_two_bodies_accept_one_of_them(admission, js):
    drafts = [TaskDraft(text="a"), TaskDraft(text="b")] * 10
    outcomes = await asyncio.gather(*(admit(admission, draft, key="k") for draft in drafts), return_exceptions=True)
    assert sum(isinstance(outcome, IdempotencyConflict) for outcome in outcomes) == 10
    assert await queued(js) == 1


async def test_keys_of_two_tenants_are_two_tasks(admission):
    one, other = [await admit(admission, TaskDraft(text="x"), key="k", tenant=tenant) for tenant in ("a", "b")]
    assert one.record.task_id != other.record.task_id


async def test_a_reservation_whose_door_died_is_taken_up_by_the_next_request(admission, ledger, js):
    draft = TaskDraft(text="once")
    first = await admit(admission, draft, key="k")
    held = await ledger.get("default", first.record.task_id)
    await ledger.replace(held, held.record.model_copy(update={"stream_seq": None}))
    await _is_known(js, "a message after it")
    await js.purge_stream(subjects.STREAM_TASKS)
    await js.update_stream(name=subjects.STREAM_TASKS, duplicate_window=0.1, **await _kept(js))
    async with asyncio.timeout(60):
        while await _is_known(js, "a message after it"):
            await asyncio.sleep(0.05)
    again = await admit(admission, draft, key="k")
    last = (await js.stream_info(subjects.STREAM_TASKS)).state.last_seq
    assert again.record.stream_seq == last > first.record.stream_seq
    assert (await ledger.get("default", first.record.task_id)).record.stream_seq == last


async def _is_known(js, message_id) -> bool:
    """Whether the bus still knows this id; it does from now on."""
    headers = {subjects.HEADER_MESSAGE_ID: message_id}
    ack = await js.publish(subjects.submit("default", Priority.NORMAL), b"{}", headers=headers)
    return bool(ack.duplicate)


async def _kept(js):
    config = (await js.stream_info(subjects.STREAM_TASKS)).config
    return {
        "subjects": config.subjects,
        "retention": config.retention,
        "discard": config.discard,
        "max_bytes": config.max_bytes,
        "allow_direct": True,
    }


@pytest.mark.parametrize("key", ["", "  ", "x" * 256])
def test_a_useless_key_is_refused(key):
    with pytest.raises(TaskRefused, match="1 to 255"):
        identify("default", key)


async def test_a_full_store_says_so_at_once_and_recovers_by_itself(admission, js):
    text = "x" * 250_000
    with pytest.raises(StoreFull, match="no room"):
        await _admit_until_refused(admission, text)
    await js.purge_stream(subjects.STREAM_TASKS)
    assert (await admit(admission, TaskDraft(text=text))).record.state is TaskState.QUEUED


async def _admit_until_refused(admission, text):
    for _ in range(400):
        await admit(admission, TaskDraft(text=text))


async def test_a_bus_that_stays_away_is_said_in_time_and_leaves_nothing_behind(admission, nats_server, ledger):
    nats_server.kill()
    async with asyncio.timeout(25):
        with pytest.raises(BusUnavailable):
            await admit(admission, TaskDraft(text="hello"))
    await nats_server.start()


async def test_a_short_outage_of_the_bus_is_not_noticed(admission, nats_server, js, ledger):
    await admit(admission, TaskDraft(text="before"))
    nats_server.kill()
    admitting = asyncio.create_task(admit(admission, TaskDraft(text="during")))
    await nats_server.start()
    accepted = await admitting
    assert (await submission(js, accepted.record.stream_seq)).parts[0].text == "during"


async def test_more_than_the_door_can_hold_is_refused(nc, js):
    publisher = Publisher(nc, js, in_flight=1, waiting=1)
    subject = subjects.submit("default", Priority.NORMAL)
    outcomes = await asyncio.gather(
        *(publisher.publish(subject, b"{}", f"m{n}") for n in range(5)), return_exceptions=True
    )
    assert sum(isinstance(outcome, Overloaded) for outcome in outcomes) == 3
    assert await queued(js) == 2


async def test_a_record_that_cannot_be_stored_does_not_take_back_an_acceptance(nc, js, blobs, ledger):
    claim_check = ClaimCheck(blobs, inline_bytes=INLINE_LIMIT_BYTES, attachment_bytes=2**30)
    admission = Admission(nc, Publisher(nc, js), ledger, claim_check, ContentCheck(blobs, limit_bytes=2**20))
    await js.delete_stream(f"KV_{subjects.BUCKET_TASKS}")
    accepted = await admit(admission, TaskDraft(text="hello"))
    assert accepted.record.stream_seq == 1
    with pytest.raises(NotFoundError):
        await js.stream_info(f"KV_{subjects.BUCKET_TASKS}")

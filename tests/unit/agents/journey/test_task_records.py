"""Records change by compare-and-set only: nobody's change is lost, and no trouble of the bus looks like success."""

from datetime import UTC, datetime

import nats.errors
import nats.js.errors
import pytest
from record_bucket import RecordBucket

from agents.errors import BusUnavailable, RecordTooLarge
from agents.journey.handbacks import Handbacks
from agents.journey.records import RECORD_BYTES, Held, TaskRecords
from schemas.parts import text_part
from schemas.task import TaskRecord, TaskState, TaskSubmitted

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
TROUBLE = [nats.errors.TimeoutError(), nats.errors.ConnectionClosedError(), nats.js.errors.APIError(), OSError("gone")]


@pytest.fixture
def bucket() -> RecordBucket:
    return RecordBucket()


@pytest.fixture
def records(bucket) -> TaskRecords:
    return TaskRecords(bucket)


def a_record(**fields) -> TaskRecord:
    return TaskRecord(task_id="t", tenant="acme", state=TaskState.QUEUED, updated_at=LONG_AGO, **fields)


def retitled(title):
    return lambda record: record.model_copy(update={"title": title})


async def test_what_was_changed_is_what_is_loaded_and_says_when(records):
    held = await records.change(Held(a_record(), 0), retitled("new"))
    assert await records.load("acme", "t") == held
    assert (held.record.title, held.revision) == ("new", 1)
    assert held.record.updated_at > LONG_AGO
    assert await records.load("t", "acme") is None


async def test_a_change_is_made_on_top_of_what_somebody_else_stored_meanwhile(records):
    mine = theirs = await records.change(Held(a_record(), 0), retitled("first"))
    await records.change(theirs, lambda record: record.model_copy(update={"cancel_requested": True}))
    held = await records.change(mine, retitled("second"))
    assert (held.record.title, held.record.cancel_requested, held.revision) == ("second", True, 3)


async def test_a_record_that_changes_all_the_time_is_given_up_after_so_many_tries(records, bucket):
    async def always_another(*_args, **_options):
        raise nats.js.errors.KeyWrongLastSequenceError

    bucket.update = always_another
    with pytest.raises(BusUnavailable, match="changes too fast"):
        await records.change(Held(a_record(), 0), retitled("never"))


@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda trouble: type(trouble).__name__)
async def test_a_bus_in_trouble_neither_holds_a_record_nor_takes_one(records, bucket, trouble):
    held = await records.change(Held(a_record(), 0), retitled("first"))
    bucket.away = trouble
    with pytest.raises(BusUnavailable, match="cannot be read"):
        await records.load("acme", "t")
    with pytest.raises(BusUnavailable, match="cannot be stored"):
        await records.change(held, retitled("second"))


async def test_a_record_that_no_message_holds_is_refused_in_words(records, bucket):
    with pytest.raises(RecordTooLarge, match="fewer, larger parts"):
        await records.change(Held(a_record(), 0), retitled("x" * RECORD_BYTES))
    assert bucket.writes == 0
    bucket.away = nats.errors.MaxPayloadError()
    with pytest.raises(RecordTooLarge, match="fewer, larger parts"):
        await records.change(Held(a_record(), 0), retitled("x"))


# What stopping workers give back is counted there


async def test_what_was_given_back_is_counted_for_each_task_of_each_tenant(records):
    handbacks = Handbacks(records)
    task = TaskSubmitted(task_id="t", tenant="acme", parts=(text_part("do it"),))
    namesake = task.model_copy(update={"tenant": "umbrella"})
    assert await handbacks.count(task) == 0
    for _ in range(2):
        await handbacks.add(task)
    assert (await handbacks.count(task), await handbacks.count(namesake)) == (2, 0)


@pytest.mark.parametrize("trouble", TROUBLE, ids=lambda trouble: type(trouble).__name__)
async def test_a_bus_in_trouble_does_not_keep_a_worker_from_stopping(records, bucket, trouble):
    task = TaskSubmitted(task_id="t", tenant="acme", parts=(text_part("do it"),))
    bucket.away = trouble
    await Handbacks(records).add(task)
    bucket.away = None
    assert await Handbacks(records).count(task) == 0

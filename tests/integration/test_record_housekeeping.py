"""A full bucket of task records makes room by itself, and never at the cost of a task that is not over."""

import asyncio
from dataclasses import replace

import pytest

from agents.journey.records import TaskRecords
from gateway.bus.stream_reader import StreamReader
from gateway.errors import StoreFull
from gateway.record_housekeeping import HousekeepingLimits, RecordHousekeeper
from gateway.task_ledger import TaskLedger
from schemas.base import now
from schemas.subjects import BUCKET_TASKS
from schemas.task import TaskRecord, TaskState

QUOTA_BYTES = 64 * 1024
NOW = HousekeepingLimits(keep_s=0.0)


@pytest.fixture
async def ledger(nc, js):
    config = (await js.stream_info(f"KV_{BUCKET_TASKS}")).config
    await js.update_stream(config.evolve(max_bytes=QUOTA_BYTES))
    return TaskLedger(await js.key_value(BUCKET_TASKS), StreamReader(nc, f"KV_{BUCKET_TASKS}"))


def record(number: int, state: TaskState) -> TaskRecord:
    return TaskRecord(task_id=f"t{number}", tenant="default", state=state, submitted_at=now(), title="t" * 200)


async def fill(ledger: TaskLedger, state_of) -> int:
    """Records until the bucket takes no more; how many it took."""
    for number in range(1_000):
        try:
            await ledger.create(record(number, state_of(number)))
        except StoreFull:
            return number
    raise AssertionError("the quota does not hold")


async def test_a_full_bucket_takes_records_again_after_tidying(nc, js, ledger):
    count = await fill(ledger, lambda number: TaskState.SUCCEEDED)
    removed = await RecordHousekeeper(nc, js, NOW).tidy()
    assert 0 < removed < count
    assert await ledger.create(record(5_000, TaskState.QUEUED)) is not None
    assert await ledger.find("default", "t0") is None, "the oldest goes first"
    assert await ledger.find("default", f"t{count - 1}") is not None


async def test_tasks_that_are_not_over_are_kept_however_old(nc, js, ledger):
    waiting = {0, 1, 3, 10, 11}
    count = await fill(ledger, lambda n: TaskState.AWAITING_APPROVAL if n in waiting else TaskState.FAILED)
    await RecordHousekeeper(nc, js, NOW).tidy()
    info = await js.stream_info(f"KV_{BUCKET_TASKS}")
    assert info.state.bytes <= NOW.start_share * QUOTA_BYTES
    kept = {number for number in range(count) if await ledger.find("default", f"t{number}") is not None}
    assert waiting <= kept
    held = await TaskRecords(await js.key_value(BUCKET_TASKS)).load("default", "t0")
    assert held is not None
    changed = await ledger.replace(held, replace_state(held.record, TaskState.SUCCEEDED))
    assert changed is not None, "its revision is what it was"


async def test_what_has_just_ended_is_kept(nc, js, ledger):
    await fill(ledger, lambda number: TaskState.SUCCEEDED)
    assert await RecordHousekeeper(nc, js, replace(NOW, keep_s=600.0)).tidy() == 0
    assert await ledger.find("default", "t0") is not None


async def test_a_bucket_with_room_is_left_alone(nc, js, ledger):
    await ledger.create(record(0, TaskState.SUCCEEDED))
    assert await RecordHousekeeper(nc, js, NOW).tidy() == 0


async def test_two_gateways_tidy_at_once(nc, js, ledger):
    await fill(ledger, lambda number: TaskState.SUCCEEDED)
    await asyncio.gather(*(RecordHousekeeper(nc, js, NOW).tidy() for _ in range(2)))
    assert (await js.stream_info(f"KV_{BUCKET_TASKS}")).state.bytes <= NOW.start_share * QUOTA_BYTES
    assert await ledger.create(record(5_000, TaskState.QUEUED)) is not None


def replace_state(task: TaskRecord, state: TaskState) -> TaskRecord:
    return task.model_copy(update={"state": state})

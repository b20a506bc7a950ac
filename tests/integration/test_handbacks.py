"""However many workers stop in good order while a task waits, it is not taken for one that kills its workers."""

import asyncio
import json

import pytest

from agents.errors import WorkerStops
from agents.journey.claim import Claim
from agents.journey.controls import Controls
from agents.journey.dead import DeadLetters
from agents.journey.dispatch import Dispatcher, DispatchLimits
from agents.journey.handbacks import Handbacks
from agents.journey.records import TaskRecords
from agents.journey.telling import Teller
from agents.stopping import Stopping
from schemas import subjects
from schemas.parts import text_part
from schemas.task import Priority, TaskSubmitted

LIMITS = DispatchLimits(max_deliveries=2, first_delay_s=0.01)


class Road:
    """In the place of a traveller: whatever happens on the way is what the test says."""

    def __init__(self) -> None:
        self.travelled = 0
        self.given_up: list[str] = []
        self.meets: BaseException | None = None

    async def meaning(self, task, stream_seq) -> Claim:
        return Claim.RESUME

    async def travel(self, task, stream_seq, deliveries) -> None:
        self.travelled += 1
        if self.meets is not None:
            raise self.meets

    async def give_up(self, task, stream_seq, deliveries, reason) -> None:
        self.given_up.append(reason)


@pytest.fixture
async def records(js) -> TaskRecords:
    return TaskRecords(await js.key_value(subjects.BUCKET_TASKS))


@pytest.fixture
def road() -> Road:
    return Road()


@pytest.fixture
def stopping() -> Stopping:
    return Stopping()


@pytest.fixture
async def deliver(nc, js, records, road, stopping):
    """Takes the next delivery of the queue and dispatches it."""
    teller = Teller(nc, "w")
    dispatcher = Dispatcher(road, Controls(nc, records), DeadLetters(js), teller, LIMITS, stopping, Handbacks(records))
    queue = await js.pull_subscribe(subjects.submit_lane(Priority.NORMAL), durable="w")

    async def next_one() -> None:
        (message,) = await queue.fetch(1, timeout=30)
        await dispatcher.dispatch(message)

    return next_one


@pytest.fixture
async def task(js) -> TaskSubmitted:
    """Published straight to the bus, so that no door has made a record of it."""
    submitted = TaskSubmitted(parts=(text_part("do it"),))
    await js.publish(subjects.submit(submitted.tenant, submitted.priority), submitted.model_dump_json().encode())
    return submitted


async def test_deliveries_that_stopping_workers_gave_back_are_no_tries(deliver, task, road, records, js):
    road.meets = WorkerStops("the worker stops")
    for _ in range(LIMITS.max_deliveries + 3):
        await deliver()
    assert (await records.load(task.tenant, task.task_id)).record.given_back == LIMITS.max_deliveries + 3
    road.meets = None
    await deliver()
    assert road.travelled == LIMITS.max_deliveries + 4
    assert road.given_up == []
    await until_empty(js)


async def test_tries_that_failed_still_count_beside_those_that_were_given_back(deliver, task, road, js):
    road.meets = WorkerStops("the worker stops")
    await deliver()
    road.meets = OSError("a try that failed")
    for _ in range(LIMITS.max_deliveries):
        await deliver()
    await deliver()
    assert road.travelled == 1 + LIMITS.max_deliveries
    assert len(road.given_up) == 1
    letter = await js.get_last_msg(subjects.STREAM_DEAD, subjects.dead(task.tenant))
    assert json.loads(letter.data)["code"] == "too_many_deliveries"
    await until_empty(js)


async def test_a_step_that_outlasts_the_drain_counts_as_given_back_only_when_the_worker_stops(
    deliver, task, road, records, stopping
):
    road.meets = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await deliver()
    assert await records.load(task.tenant, task.task_id) is None


async def test_a_cancelled_task_of_a_stopping_worker_is_counted(deliver, task, road, records, stopping):
    stopping.wish()
    road.meets = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await deliver()
    assert (await records.load(task.tenant, task.task_id)).record.given_back == 1


async def until_empty(js) -> None:
    async with asyncio.timeout(30):
        while (await js.stream_info(subjects.STREAM_TASKS)).state.messages:
            await asyncio.sleep(0.01)

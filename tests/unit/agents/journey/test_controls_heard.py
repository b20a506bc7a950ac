"""A person's wish to cancel stops the task that runs here, once, and is told from a shutdown."""

import asyncio
from types import SimpleNamespace

import pytest
from record_bucket import RecordBucket

from agents.errors import BusUnavailable
from agents.journey import controls as module
from agents.journey.controls import Controls
from agents.journey.records import Held, TaskRecords
from schemas import subjects
from schemas.control import ControlAction, ControlMessage
from schemas.task import TaskRecord, TaskState


class Ear:
    """A connection that hears what the test says."""

    def __init__(self) -> None:
        self.stats = {"reconnects": 0}

    async def subscribe(self, subject, cb):
        self.say = lambda body: cb(SimpleNamespace(subject=subjects.control("acme", "t"), data=body, headers=None))


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def records() -> TaskRecords:
    return TaskRecords(RecordBucket())


@pytest.fixture
async def controls(ear, records, monkeypatch):
    monkeypatch.setattr(module, "LOOK_AGAIN_S", 0.01)
    controls = Controls(ear, records)
    await controls.start()
    yield controls
    await controls.stop()


def wish(action=ControlAction.CANCEL) -> bytes:
    return ControlMessage(task_id="t", action=action).model_dump_json().encode()


async def run(controls, started: asyncio.Event) -> str:
    """A task as `dispatch` runs it, until it is cancelled; how it ended."""
    controls.enter("acme", "t", 7)
    try:
        started.set()
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if not controls.heard_cancel("acme", "t"):
            return "shut down"
        current = asyncio.current_task()
        again = controls.heard_cancel("acme", "t")
        return f"cancelled, {again=}, {current.cancelling()} more to come"
    finally:
        controls.leave("acme", "t")
    return "done"


@pytest.fixture
async def running(controls):
    started = asyncio.Event()
    task = asyncio.create_task(run(controls, started))
    await started.wait()
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_wish_cancels_the_task_once_however_often_it_is_said(controls, ear, running):
    for _ in range(3):
        await ear.say(wish())
    assert await running == "cancelled, again=False, 0 more to come"
    await ear.say(wish())


async def test_a_shutdown_is_no_wish(controls, running):
    running.cancel()
    assert await running == "shut down"


@pytest.mark.parametrize("body", [b"{", wish(ControlAction.APPROVE)])
async def test_what_is_no_wish_to_cancel_cancels_nothing(controls, ear, running, body):
    await ear.say(body)
    await asyncio.sleep(0)
    assert running.cancelling() == 0


async def test_the_message_for_which_a_task_runs_is_known_while_it_runs(controls, ear, running):
    assert (controls.message_of("acme", "t"), controls.message_of("other", "t")) == (7, None)
    await ear.say(wish())
    await running
    assert controls.message_of("acme", "t") is None


async def test_after_an_outage_records_are_asked_until_they_answer(controls, ear, records, running, monkeypatch):
    record = TaskRecord(task_id="t", tenant="acme", state=TaskState.RUNNING, cancel_requested=True)
    await records.change(Held(record, 0), lambda present: present)
    load, tries = records.load, []

    async def at_the_second_try(*key):
        tries.append(key)
        if len(tries) == 1:
            raise BusUnavailable("not yet")
        return await load(*key)

    monkeypatch.setattr(records, "load", at_the_second_try)
    ear.stats["reconnects"] = 1
    async with asyncio.timeout(30):
        assert (await running).startswith("cancelled")
    assert tries == [("acme", "t"), ("acme", "t")]

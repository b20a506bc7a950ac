"""A person cancels at the most awkward moments: the task ends as cancelled all the same, once, and soon."""

import asyncio

import pytest
from journey_bench import Bench, Held, a_task

from schemas import subjects
from schemas.control import ControlAction, ControlMessage

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def bench(nc, js, bucket, tmp_path):
    worker = Bench(nc, js, bucket, tmp_path)
    await worker.controls.start()
    yield worker
    await worker.controls.stop()


async def store_wish(bench, task) -> None:
    """What a door does first. The word of it to the worker comes later, or never."""
    held = await bench.records.load(task.tenant, task.task_id)
    await bench.records.change(held, lambda record: record.model_copy(update={"cancel_requested": True}))


async def tell_wish(bench, task) -> None:
    """What a door does next; returns once the worker has heard it."""
    wish = ControlMessage(task_id=task.task_id, tenant=task.tenant, action=ControlAction.CANCEL)
    await bench.nc.publish(subjects.control(task.tenant, task.task_id), wish.model_dump_json().encode())
    await bench.nc.flush()
    await asyncio.sleep(0)


async def test_a_task_cancelled_just_before_it_waits_for_approval_does_not_wait_for_ever(queue, bench):
    task = a_task()
    bench.arrows, bench.approvals = ["task>a", "a>b"], ("b",)
    bench.answer = Held()
    await queue.put(task)
    working = asyncio.create_task(bench.dispatcher.dispatch(await queue.next()))
    await bench.answer.asked.wait()
    await store_wish(bench, task)  # the door's word of it is lost, or comes when the worker has let go
    bench.answer.go.set()
    await working
    record = await bench.record(task)
    assert record.state == "cancelled"
    assert [step.agent_id for step in record.result.steps] == ["a"]
    assert (await bench.told(task))[-1] == "cancelled"
    await queue.until_empty()


async def test_a_wish_that_comes_before_the_run_leads_to_the_record(queue, bench):
    task = a_task(task_id="t")
    await queue.put(task)
    loading = asyncio.Event()
    load = bench.records.load

    async def stuck_once(*which):
        if not loading.is_set():
            loading.set()
            await asyncio.Event().wait()
        return await load(*which)

    bench.records.load = stuck_once
    working = asyncio.create_task(bench.dispatcher.dispatch(await queue.next()))
    await loading.wait()
    await tell_wish(bench, task)
    await working
    assert bench.asked == ["t.a"], "the record holds no wish: the task is done"
    await queue.until_empty()


async def test_who_cancels_twice_gets_it_once_and_not_later(queue, bench):
    task = a_task()
    bench.answer = Held()
    ending, go = asyncio.Event(), asyncio.Event()
    settle = bench.settlement.settle

    async def slow_settle(*ends):
        ending.set()
        await go.wait()
        return await settle(*ends)

    bench.settlement.settle = slow_settle
    await queue.put(task)
    working = asyncio.create_task(bench.dispatcher.dispatch(await queue.next()))
    await bench.answer.asked.wait()
    await store_wish(bench, task)
    await tell_wish(bench, task)
    await ending.wait()
    ending.clear()
    await tell_wish(bench, task)
    await ending.wait()
    go.set()
    await working
    assert (await bench.record(task)).state == "cancelled"
    assert [kind for kind in await bench.told(task) if kind == "cancelled"] == ["cancelled"]
    await queue.until_empty()


async def test_a_wish_that_went_past_a_worker_without_connection_is_found_in_the_record(queue, bench, nats_server):
    task = a_task()
    bench.answer = Held()
    await queue.put(task)
    working = asyncio.create_task(bench.dispatcher.dispatch(await queue.next()))
    await bench.answer.asked.wait()
    await store_wish(bench, task)  # and its word is told while this worker looks for a server
    nats_server.kill()
    await nats_server.start()
    await working
    assert (await bench.record(task)).state == "cancelled"


async def test_a_step_that_is_cut_off_by_a_shutdown_is_nobodys_wish(queue, bench):
    task = a_task()
    bench.answer = Held()
    await queue.put(task)
    working = asyncio.create_task(bench.dispatcher.dispatch(await queue.next()))
    await bench.answer.asked.wait()
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
    assert (await bench.record(task)).state == "running", "another worker goes on"
    assert "cancelled" not in await bench.told(task)

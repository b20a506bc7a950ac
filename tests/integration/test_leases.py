"""A worker that was away for too long: its task is another's by now, and what it thinks of it counts for nothing."""

import asyncio

import pytest
from journey_bench import Bench, Held, a_task

from agents.errors import StepTimedOut
from schemas import subjects

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def first(nc, js, bucket, tmp_path):
    return Bench(nc, js, bucket, tmp_path, "first")


@pytest.fixture
async def second(nc, js, bucket, tmp_path):
    return Bench(nc, js, bucket, tmp_path, "second")


async def late(invocation):
    raise StepTimedOut("no answer within its time")


async def away_while_taken_over(queue, first, second, task):
    """The first answers once the second is at work, too. Gives the first one's message and the second one's work."""
    await queue.put(task)
    message = await queue.next()
    frozen = asyncio.create_task(first.dispatcher.dispatch(message))
    await first.answer.asked.wait()
    taken_over = asyncio.create_task(second.dispatcher.dispatch(await queue.redelivered(message)))
    await second.answer.asked.wait()
    first.answer.go.set()
    await frozen
    return message, taken_over


async def test_a_task_that_another_worker_took_over_does_not_fail_by_what_the_first_one_saw(queue, first, second):
    task = a_task()
    first.answer, second.answer = Held(late), Held()
    message, taken_over = await away_while_taken_over(queue, first, second, task)
    assert not message.is_acked, "the second worker still needs the message, should it die"
    second.answer.go.set()
    await taken_over
    assert (await second.record(task)).state == "succeeded"
    assert [kind for kind in await second.told(task) if kind in ("failed", "succeeded")] == ["succeeded"]
    await queue.until_empty()


async def test_what_the_first_worker_finished_all_the_same_counts_once(queue, first, second):
    task = a_task()
    first.answer, second.answer = Held(), Held(late)
    _, taken_over = await away_while_taken_over(queue, first, second, task)
    second.answer.go.set()
    await taken_over
    assert (await second.record(task)).state == "succeeded"
    assert [kind for kind in await second.told(task) if kind in ("failed", "succeeded")] == ["succeeded"]


async def test_two_workers_that_planned_the_same_task_run_the_same_plan(queue, first, second):
    task = a_task()
    planning, go = asyncio.Event(), asyncio.Event()

    async def slow_plan() -> None:
        planning.set()
        await go.wait()

    first.arrows, first.on_plan, second.arrows = ["task>b", "b>c"], slow_plan, ["task>a", "a>b"]
    second.answer = Held()
    await queue.put(task)
    message = await queue.next()
    slow = asyncio.create_task(first.dispatcher.dispatch(message))
    await planning.wait()
    taken_over = asyncio.create_task(second.dispatcher.dispatch(await queue.redelivered(message)))
    await second.answer.asked.wait()
    go.set()
    await slow
    assert first.asked == []
    second.answer.go.set()
    await taken_over
    record = await second.record(task)
    assert [step.agent_id for step in record.result.steps] == ["a", "b"]
    assert [node.agent_id for node in record.plan.network.nodes] == ["a", "b"]


async def test_an_ending_that_nobody_was_told_is_told_by_whoever_finds_it(queue, first, second, bucket):
    """The first worker dies between storing the ending and telling it, while the second is about to plan."""
    task = a_task()

    async def dies(*_) -> None:
        raise asyncio.CancelledError

    async def meanwhile_the_first_ends_it() -> None:
        first.settlement.tell_ending = dies
        with pytest.raises(asyncio.CancelledError):
            await first.dispatcher.dispatch(message)

    await queue.put(task)
    message = await queue.next()
    again = await queue.redelivered(message)
    second.on_plan = meanwhile_the_first_ends_it
    await second.dispatcher.dispatch(again)
    assert (await second.record(task)).state == "succeeded"
    await second.dispatcher.dispatch(await queue.redelivered(again))
    assert [kind for kind in await second.told(task) if kind in ("failed", "succeeded")] == ["succeeded"]
    await queue.until_empty()


async def test_a_worker_that_dies_before_it_tidied_up_leaves_no_checkpoints_for_ever(queue, first, second, js):
    async def dies(*_) -> None:
        raise asyncio.CancelledError

    task = a_task()
    first.arrows = second.arrows = ["task>a", "a>b"]
    first.runner.forget = dies
    await queue.put(task)
    message = await queue.next()
    with pytest.raises(asyncio.CancelledError):
        await first.dispatcher.dispatch(message)
    assert (await js.stream_info(subjects.STREAM_CHECKPOINTS)).state.messages > 0
    await second.dispatcher.dispatch(await queue.redelivered(message))
    assert (await js.stream_info(subjects.STREAM_CHECKPOINTS)).state.messages == 0
    assert second.asked == []

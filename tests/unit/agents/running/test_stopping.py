"""A worker that wants to stop finishes the steps under way, begins no other, and loses none that was done."""

import asyncio
import random

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from running_story import Agents, Story, card, refusal, reply, request_for

from agents.errors import WorkerStops
from agents.running.compiler import Graphs
from agents.running.runner import GraphRunner
from agents.running.steps import Backoff, Steps
from agents.stopping import HeedfulPlanner, Stopping
from schemas.task import TaskEventKind

CHAIN = ("task>a", "a>b", "b>c")
CARDS = tuple(card(name, concurrency=1, step_s=3600.0) for name in "abcd")
DIAMOND = ("task>a", "a>b", "a>c", "b>d", "c>d")


class Slow:
    """An agent's behaviour: says when it was asked, and answers when it may."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def __call__(self, invocation):
        self.asked.set()
        await self.may_answer.wait()
        return reply(invocation)


def runner_with(agents: Agents, saver: InMemorySaver, stopping: Stopping | None = None) -> GraphRunner:
    backoff = Backoff(base_s=3600.0, limit_s=3600.0)
    steps = Steps(agents, backoff=backoff, dice=random.Random(1), stopping=stopping)
    return GraphRunner(Graphs(lambda _: saver), steps, saver)


async def ended(run: "asyncio.Task[object]") -> BaseException | None:
    await asyncio.wait_for(asyncio.wait({run}), 30)
    return run.exception()


async def test_the_step_under_way_is_finished_the_next_not_begun_and_another_worker_goes_on_there():
    saver, stopping, slow = InMemorySaver(), Stopping(), Slow()
    agents, story = Agents(b=slow), Story()
    request = request_for(*CHAIN, task_id="t", cards=CARDS)
    run = asyncio.create_task(runner_with(agents, saver, stopping).run(request, story))
    await slow.asked.wait()
    stopping.wish()
    slow.may_answer.set()
    assert isinstance(await ended(run), WorkerStops)
    assert agents.steps() == ["a", "b"]
    assert [fact["ok"] for fact in story.of(TaskEventKind.STEP_FINISHED)] == [True, True]
    others = Agents()
    outcome = await runner_with(others, saver).run(request, Story())
    assert (others.steps(), outcome.resumed_steps) == (["c"], 2)


async def test_a_lone_step_is_finished_too():
    stopping, slow = Stopping(), Slow()
    run = asyncio.create_task(
        runner_with(Agents(a=slow), InMemorySaver(), stopping).run(request_for("task>a"), Story())
    )
    await slow.asked.wait()
    stopping.wish()
    slow.may_answer.set()
    assert await ended(run) is None


async def test_what_waits_for_a_place_goes_back_at_once_but_not_before_the_branch_beside_it_is_done():
    saver, stopping, slow, busy = InMemorySaver(), Stopping(), Slow(), Slow()
    agents = Agents(b=slow, c=busy)
    runner, story = runner_with(agents, saver, stopping), Story()
    first = asyncio.create_task(runner.run(request_for("task>c", task_id="first", cards=CARDS), Story()))
    await busy.asked.wait()
    behind = asyncio.create_task(runner.run(request_for("task>c", task_id="behind", cards=CARDS), Story()))
    run = asyncio.create_task(runner.run(request_for(*DIAMOND, task_id="t", cards=CARDS), story))
    await slow.asked.wait()
    while len(story.of(TaskEventKind.STEP_STARTED)) < 3:  # a, b and c, which has no place yet
        await asyncio.sleep(0)
    stopping.wish()
    assert isinstance(await ended(behind), WorkerStops)
    assert not run.done()
    slow.may_answer.set()
    assert isinstance(await ended(run), WorkerStops)
    assert not first.done()
    busy.may_answer.set()
    assert await ended(first) is None
    others = Agents()
    outcome = await runner_with(others, saver).run(request_for(*DIAMOND, task_id="t", cards=CARDS), Story())
    assert (others.steps(), outcome.resumed_steps) == (["c", "d"], 2)


async def test_a_pause_between_two_attempts_ends_at_once_and_is_no_failure():
    stopping, story = Stopping(), Story()

    async def refuse(invocation):
        return refusal(invocation, retryable=True)

    run = asyncio.create_task(
        runner_with(Agents(a=refuse), InMemorySaver(), stopping).run(request_for("task>a", deadline_s=86_400), story)
    )
    while not story.of(TaskEventKind.STEP_RETRIED):
        await asyncio.sleep(0)
    stopping.wish()
    assert isinstance(await ended(run), WorkerStops)
    assert not story.of(TaskEventKind.STEP_FINISHED)


async def test_nothing_is_planned_or_begun_after_the_wish():
    stopping = Stopping()
    stopping.wish()
    agents = Agents()
    with pytest.raises(WorkerStops):
        await runner_with(agents, InMemorySaver(), stopping).run(request_for("task>a"), Story())
    with pytest.raises(WorkerStops):
        await HeedfulPlanner(None, stopping).plan(None, None)  # type: ignore[arg-type] - it is not asked
    assert agents.asked == []

"""One step is asked for until it answers: attempts, backoff, timeouts, places and the circuit."""

import asyncio
import random

import pytest
from running_story import Agents, Story, Time, card, refusal, reply, request_for

from agents.errors import AgentUnreachable, BadReply, DeadlineExceeded, StepFailed, StepTimedOut
from agents.running.breaker import FAILURES_TO_OPEN
from agents.running.run import Run
from agents.running.steps import Backoff, Steps
from schemas.card import Cost
from schemas.task import TaskEventKind


def steps_with(agents: Agents, time: Time | None = None, **more) -> tuple[Steps, Time]:
    time = time or Time()
    return Steps(agents, clock=time, sleep=time.sleep, dice=random.Random(1), **more), time


def run_of(time: Time, story: Story | None = None, **request) -> Run:
    return Run(request_for("task>a", task_id="t", **request), ("a",), story or Story(), time)


def failing(*failures: Exception):
    left = list(failures)

    async def behave(invocation):
        if left:
            raise left.pop(0)
        return reply(invocation)

    return behave


async def test_silence_is_asked_again_with_growing_random_pauses():
    agents = Agents(a=failing(StepTimedOut("late"), AgentUnreachable("gone", retryable=True)))
    steps, time = steps_with(agents, backoff=Backoff(base_s=1.0))
    story = Story()
    done = await steps.perform(run_of(time, story), "a")
    assert done.outcome.attempts == 3
    assert done.outcome.ok
    assert [invocation.attempt for invocation in agents.asked] == [1, 2, 3]
    assert {invocation.step_id for invocation in agents.asked} == {"t.a"}
    assert 0 <= time.slept[0] <= 1 < time.slept[1] + 1 <= 3
    assert story.kinds() == ["step_started", "step_retried", "step_retried", "step_finished"]
    retried = story.of(TaskEventKind.STEP_RETRIED)[0]
    assert (retried["attempt"], retried["error"]) == (2, "late")


async def test_an_agent_that_is_gone_for_good_is_not_asked_again():
    agents = Agents(a=failing(AgentUnreachable("the card names a file that is not there")))
    steps, time = steps_with(agents)
    with pytest.raises(AgentUnreachable):
        await steps.perform(run_of(time, Story()), "a")
    assert len(agents.asked) == 1


def test_pauses_are_seeded_bounded_and_full_of_jitter():
    backoff = Backoff(base_s=1.0, limit_s=4.0)
    one, two = (
        [backoff.pause_s(attempt, dice) for attempt in range(1, 200)] for dice in (random.Random(7), random.Random(7))
    )
    assert one == two
    assert one[0] <= 1.0
    assert min(one[10:]) < 0.5
    assert 3.5 < max(one[10:]) <= 4.0


async def test_attempts_are_limited_by_the_card():
    agents = Agents(a=failing(*[StepTimedOut("late")] * 9))
    steps, time = steps_with(agents)
    story = Story()
    with pytest.raises(StepTimedOut) as caught:
        await steps.perform(run_of(time, story, cards=(card("a", attempts=2),)), "a")
    assert len(agents.asked) == 2
    assert (caught.value.step_id, caught.value.agent_id) == ("t.a", "a")
    finished = story.of(TaskEventKind.STEP_FINISHED)[0]
    assert (finished["ok"], finished["attempt"], finished["error"]) == (False, 2, "late")


@pytest.mark.parametrize(("retryable", "asked"), [(False, 1), (True, 3)])
async def test_an_error_is_asked_again_only_if_it_says_that_this_may_help(retryable, asked):
    async def refuse(invocation):
        return refusal(invocation, retryable=retryable)

    agents = Agents(a=refuse)
    steps, time = steps_with(agents)
    with pytest.raises(StepFailed, match=r"it does not work \(broken\)"):
        await steps.perform(run_of(time), "a")
    assert len(agents.asked) == asked


async def test_garbage_is_not_asked_for_again():
    agents = Agents(a=failing(BadReply("garbage")))
    steps, time = steps_with(agents)
    with pytest.raises(BadReply):
        await steps.perform(run_of(time), "a")
    assert len(agents.asked) == 1


async def test_an_answer_to_another_step_is_a_bad_reply():
    async def confused(invocation):
        return reply(invocation).model_copy(update={"step_id": "other.a"})

    steps, time = steps_with(Agents(a=confused))
    with pytest.raises(BadReply, match="other"):
        await steps.perform(run_of(time), "a")


async def test_the_timeout_is_the_cards_or_what_is_left_of_the_deadline():
    agents = Agents()
    steps, time = steps_with(agents)
    await steps.perform(run_of(time, cards=(card("a", step_s=7),), deadline_s=60), "a")
    await steps.perform(run_of(time, cards=(card("a", step_s=7),), deadline_s=3), "a")
    assert agents.timeouts_s == [7, 3]


async def test_a_connector_that_never_returns_is_cut_off(monkeypatch):
    monkeypatch.setattr("agents.running.steps.GRACE_S", 0.01)

    async def hang(invocation):
        await asyncio.Event().wait()
        return reply(invocation)

    agents = Agents(a=hang)
    steps, time = steps_with(agents)
    with pytest.raises(StepTimedOut):
        await steps.perform(run_of(time, cards=(card("a", step_s=0.01, attempts=1),)), "a")
    assert agents.cancelled == ["a"]


async def test_a_passed_deadline_ends_the_step():
    time = Time()

    async def slow(invocation):
        await time.sleep(5)
        raise StepTimedOut("late")

    steps, _ = steps_with(Agents(a=slow), time)
    with pytest.raises(DeadlineExceeded):
        await steps.perform(run_of(time, deadline_s=4), "a")


async def test_who_had_no_place_before_the_deadline_was_not_asked_and_has_not_failed():
    busy = asyncio.Event()

    async def hang(invocation):
        busy.set()
        await asyncio.Event().wait()
        return reply(invocation)

    agents = Agents(a=hang)
    steps, time = steps_with(agents)
    narrow = (card("a", concurrency=1, step_s=60),)
    holding = asyncio.create_task(steps.perform(run_of(time, cards=narrow), "a"))
    await busy.wait()
    late = run_of(time, cards=narrow, deadline_s=0.02)
    with pytest.raises(DeadlineExceeded):
        await steps.perform(late, "a")
    holding.cancel()
    assert (len(agents.asked), late.steps, late.under_way()) == (1, (), ())


async def test_no_pause_reaches_past_the_deadline():
    agents = Agents(a=failing(*[StepTimedOut("late")] * 3))
    steps, time = steps_with(agents, backoff=Backoff(base_s=1e9, limit_s=1e9))
    with pytest.raises(DeadlineExceeded):
        await steps.perform(run_of(time, deadline_s=10), "a")
    assert time.slept == []


async def test_cost_is_what_the_agent_says_or_else_its_card():
    async def dear(invocation):
        return reply(invocation, cost=9.0)

    prices = (card("a", cost=Cost(per_call=2.0)),)
    steps, time = steps_with(Agents())
    assert (await steps.perform(run_of(time, cards=prices), "a")).outcome.cost == 2.0
    steps, time = steps_with(Agents(a=dear))
    assert (await steps.perform(run_of(time, cards=prices), "a")).outcome.cost == 9.0


async def test_time_has_its_price():
    time = Time()

    async def slow(invocation):
        await time.sleep(3)
        return reply(invocation)

    steps, _ = steps_with(Agents(a=slow), time)
    prices = (card("a", cost=Cost(per_call=1.0, per_second=2.0)),)
    assert (await steps.perform(run_of(time, cards=prices), "a")).outcome.cost == 7.0


async def test_an_agent_takes_no_more_steps_at_once_than_its_card_says():
    inside, most, release = 0, 0, asyncio.Event()

    async def count(invocation):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await release.wait()
        inside -= 1
        return reply(invocation)

    agents = Agents(a=count)
    steps = Steps(agents)
    narrow = (card("a", concurrency=2),)
    running = [
        asyncio.create_task(steps.perform(Run(request_for("task>a", cards=narrow), ("a",), Story(), Time()), "a"))
        for _ in range(6)
    ]
    while len(agents.asked) < 2:
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(agents.asked) == 2
    release.set()
    await asyncio.gather(*running)
    assert most == 2
    assert len(agents.asked) == 6


async def test_a_failing_agent_is_spared_and_then_tried_again():
    agents = Agents(a=failing(*[AgentUnreachable("gone")] * FAILURES_TO_OPEN))
    steps, time = steps_with(agents)
    once = (card("a", attempts=1, step_s=0.5),)
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(AgentUnreachable, match="gone"):
            await steps.perform(run_of(time, cards=once), "a")
    with pytest.raises(AgentUnreachable, match="spared"):
        await steps.perform(run_of(time, cards=once), "a")
    assert len(agents.asked) == FAILURES_TO_OPEN
    patient = (card("a", attempts=1, step_s=30),)
    assert (await steps.perform(run_of(time, cards=patient), "a")).outcome.ok
    assert len(agents.asked) == FAILURES_TO_OPEN + 1


async def test_an_agent_that_left_fails_its_step_with_clear_words():
    request = request_for("task>a")
    gone = Run(type(request)(request.task, request.plan, request.parts, {}), ("a",), Story(), Time())
    steps, _ = steps_with(Agents())
    with pytest.raises(AgentUnreachable, match="not registered any more") as caught:
        await steps.perform(gone, "a")
    assert caught.value.agent_id == "a"


@pytest.mark.parametrize(("max_cost", "asked"), [(1.0, 1), (2.5, 2), (None, 3)])
async def test_another_try_is_paid_from_the_same_budget(max_cost, asked):
    async def refuse(invocation):
        return refusal(invocation, retryable=True)

    agents = Agents(a=refuse)
    steps, time = steps_with(agents)
    run = run_of(time, cards=(card("a", attempts=3, cost=Cost(per_call=1.0)),), max_cost=max_cost)
    with pytest.raises(StepFailed, match="it does not work"):
        await steps.perform(run, "a")
    assert len(agents.asked) == asked
    assert run.cost == asked


async def test_tries_that_nobody_answered_cost_nothing():
    agents = Agents(a=failing(StepTimedOut("late"), StepTimedOut("late")))
    steps, time = steps_with(agents)
    run = run_of(time, cards=(card("a", attempts=3, cost=Cost(per_call=1.0)),), max_cost=1.0)
    await steps.perform(run, "a")
    assert run.cost == 1.0

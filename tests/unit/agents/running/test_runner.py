"""A plan becomes an outcome: order, parallel branches, approval, failure and cancellation."""

import asyncio
from dataclasses import replace

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from running_story import Agents, Story, Time, card, refusal, reply, request_for

from agents.errors import ApprovalDenied, BudgetExceeded, StepFailed
from agents.running.compiler import Graphs
from agents.running.runner import GraphRunner
from agents.running.steps import Backoff, Steps
from schemas.card import Cost
from schemas.network import TASK, Substitute
from schemas.task import TaskEventKind

CHAIN = ("task>a", "a>b", "b>c")
DIAMOND = ("task>a", "a>b", "a>c", "b>d", "c>d")


def runner_with(agents: Agents, saver: InMemorySaver | None = None) -> GraphRunner:
    saver = saver or InMemorySaver()
    return GraphRunner(Graphs(lambda _: saver), Steps(agents, backoff=Backoff(base_s=0.001)), saver)


async def test_a_single_step_runs_without_checkpoints():
    saver, agents = InMemorySaver(), Agents()
    outcome = await runner_with(agents, saver).run(request_for("task>a"), Story())
    assert [part.text for part in outcome.outputs] == ["a did"]
    assert [step.node for step in outcome.steps] == ["a"]
    assert not saver.storage


async def test_a_chain_hands_each_answer_to_the_next_step():
    agents = Agents()
    outcome = await runner_with(agents).run(request_for(*CHAIN), Story())
    assert agents.steps() == ["a", "b", "c"]
    assert [(part.name, part.text) for part in agents.asked[2].inputs] == [(None, "do it"), ("b.txt", "b did")]
    assert [part.text for part in outcome.outputs] == ["c did"]
    assert [step.step_id.rpartition(".")[2] for step in outcome.steps] == ["a", "b", "c"]


async def test_branches_run_side_by_side_and_join():
    both_there = asyncio.Barrier(2)

    async def meet(invocation):
        await asyncio.wait_for(both_there.wait(), 5)
        return reply(invocation)

    agents = Agents(b=meet, c=meet)
    outcome = await runner_with(agents).run(request_for(*DIAMOND), Story())
    assert sorted(part.name or "" for part in agents.asked[-1].inputs) == ["", "b.txt", "c.txt"]
    assert [part.text for part in outcome.outputs] == ["d did"]


@pytest.mark.parametrize(
    "arrows",
    [
        ("task>a", "task>b", "a>c", "b>c"),
        ("task>a", "a>b", "b>c", "a>c"),
        ("task>a", "task>b", "task>c", "a>d", "b>d", "c>e", "d>e"),
        ("task>a", "a>b", "a>c", "a>d", "b>e", "c>f", "d>f", "e>g", "f>g"),
    ],
)
async def test_every_topology_runs_each_node_once_after_its_sources(arrows):
    agents = Agents()
    request = request_for(*arrows)
    await runner_with(agents).run(request, Story())
    order = agents.steps()
    assert sorted(order) == sorted(node.id for node in request.plan.network.nodes)
    for edge in request.plan.network.edges:
        assert edge.source == TASK or order.index(edge.source) < order.index(edge.target)


async def test_the_story_of_a_step_is_told():
    story = Story()
    request = request_for("task>a", task_id="t1")
    await runner_with(Agents()).run(request, story)
    assert story.kinds() == ["step_started", "step_finished"]
    finished = story.of(TaskEventKind.STEP_FINISHED)[0]
    assert {key: finished[key] for key in ("node", "agent_id", "skill_id", "step_id", "attempt", "ok")} == {
        "node": "a",
        "agent_id": "a",
        "skill_id": "work",
        "step_id": "t1.a",
        "attempt": 1,
        "ok": True,
    }
    assert finished["latency_ms"] >= 0


async def test_a_step_waits_for_approval_and_goes_on_with_it():
    agents, saver = Agents(), InMemorySaver()
    runner = runner_with(agents, saver)
    waiting = await runner.run(request_for(*CHAIN, approvals=("b",), task_id="t"), Story())
    assert waiting.waiting_for == ("b",)
    assert waiting.outputs == ()
    assert agents.steps() == ["a"]
    again = await runner.run(request_for(*CHAIN, approvals=("b",), task_id="t"), Story())
    assert again.waiting_for == ("b",)
    done = await runner.run(request_for(*CHAIN, approvals=("b",), approved=frozenset({"b"}), task_id="t"), Story())
    assert agents.steps() == ["a", "b", "c"]
    assert done.resumed_steps == 1
    assert [part.text for part in done.outputs] == ["c did"]


async def test_a_branch_that_waits_lets_the_other_finish_and_does_not_repeat_it():
    agents, saver = Agents(), InMemorySaver()
    runner = runner_with(agents, saver)
    waiting = await runner.run(request_for(*DIAMOND, approvals=("b", "c"), task_id="t"), Story())
    assert waiting.waiting_for == ("b", "c")
    half = request_for(*DIAMOND, approvals=("b", "c"), approved=frozenset({"c"}), task_id="t")
    assert (await runner.run(half, Story())).waiting_for == ("b",)
    full = request_for(*DIAMOND, approvals=("b", "c"), approved=frozenset({"b", "c"}), task_id="t")
    outcome = await runner.run(full, Story())
    assert agents.steps() == ["a", "c", "b", "d"]
    assert outcome.resumed_steps == 2


@pytest.mark.parametrize("arrows", [("task>a",), CHAIN])
async def test_a_task_that_waits_for_approval_starts_nothing(arrows):
    agents = Agents()
    runner = runner_with(agents)
    assert (await runner.run(request_for(*arrows, approvals=(TASK,)), Story())).waiting_for == (TASK,)
    assert agents.asked == []
    outcome = await runner.run(request_for(*arrows, approvals=(TASK,), approved=frozenset({TASK})), Story())
    assert outcome.waiting_for == ()
    assert len(agents.asked) == len(arrows)


@pytest.mark.parametrize("denied", ["b", TASK])
async def test_a_denied_approval_fails_the_run(denied):
    agents = Agents()
    request = request_for(*CHAIN, approvals=(TASK, "b"), approved=frozenset({TASK}), denied=frozenset({denied}))
    with pytest.raises(ApprovalDenied) as caught:
        await runner_with(agents).run(request, Story())
    assert caught.value.code == "approval_denied"
    assert agents.asked == []


async def test_a_failing_step_cancels_its_neighbours_and_says_who_failed():
    neighbour_works = asyncio.Event()

    async def hang(invocation):
        neighbour_works.set()
        await asyncio.Event().wait()
        return reply(invocation)

    async def fail(invocation):
        await neighbour_works.wait()
        return refusal(invocation)

    agents = Agents(b=hang, c=fail)
    with pytest.raises(StepFailed) as caught:
        await runner_with(agents).run(request_for(*DIAMOND, task_id="t"), Story())
    assert (caught.value.step_id, caught.value.agent_id) == ("t.c", "c")
    assert "it does not work" in str(caught.value)
    assert agents.cancelled == ["b"]
    assert [(step.node, step.ok) for step in caught.value.steps] == [("a", True), ("c", False)]


@pytest.mark.parametrize("arrows", [("task>a",), ("task>a", "a>b")])
async def test_cancelling_a_run_cancels_what_is_in_flight(arrows):
    works = asyncio.Event()

    async def hang(invocation):
        works.set()
        await asyncio.Event().wait()
        return reply(invocation)

    agents = Agents(a=hang)
    running = asyncio.create_task(runner_with(agents).run(request_for(*arrows), Story()))
    await works.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert agents.cancelled == ["a"]


@pytest.mark.parametrize(
    ("arrows", "hangs", "ended"), [(("task>a",), "a", []), (CHAIN, "b", ["a"]), (DIAMOND, "b", ["a", "c"])]
)
async def test_a_cancelled_run_tells_of_the_steps_that_had_ended(arrows, hangs, ended):
    begun, told = [], []

    async def hang(invocation):
        begun.append(invocation)
        await asyncio.Event().wait()
        return reply(invocation)

    story = Story()
    request = replace(request_for(*arrows), did=lambda *steps: told.append(steps))
    running = asyncio.create_task(runner_with(Agents(**{hangs: hang})).run(request, story))
    async with asyncio.timeout(30):
        while not begun or len(story.of(TaskEventKind.STEP_FINISHED)) < len(ended):
            await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    ((over, under_way),) = told
    assert [(step.node, step.ok) for step in over] == [(node, True) for node in ended]
    assert [(step.node, step.ok, step.attempts) for step in under_way] == [(hangs, False, 1)]


async def test_a_finished_run_that_is_asked_for_again_repeats_nothing():
    agents, saver = Agents(), InMemorySaver()
    runner = runner_with(agents, saver)
    first = await runner.run(request_for(*CHAIN, task_id="t"), Story())
    second = await runner.run(request_for(*CHAIN, task_id="t"), Story())
    assert agents.steps() == ["a", "b", "c"]
    assert second.outputs == first.outputs
    assert second.steps == first.steps
    assert (first.resumed_steps, second.resumed_steps) == (0, 3)


async def test_a_failed_step_is_tried_again_when_the_run_is_asked_for_again():
    answers = iter([refusal, reply])

    async def second_time_lucky(invocation):
        return next(answers)(invocation)

    agents = Agents(b=second_time_lucky)
    runner = runner_with(agents)
    with pytest.raises(StepFailed):
        await runner.run(request_for(*DIAMOND, task_id="t"), Story())
    await runner.run(request_for(*DIAMOND, task_id="t"), Story())
    assert agents.steps().count("a") == 1
    assert agents.steps().count("b") == 2


async def test_tenants_with_the_same_task_id_share_nothing():
    agents, saver = Agents(), InMemorySaver()
    runner = runner_with(agents, saver)
    await runner.run(request_for(*CHAIN, task_id="t", tenant="one"), Story())
    outcome = await runner.run(request_for(*CHAIN, task_id="t", tenant="two"), Story())
    assert outcome.resumed_steps == 0
    await runner.forget("one", "t")
    again = await runner.run(request_for(*CHAIN, task_id="t", tenant="two"), Story())
    assert again.resumed_steps == 3


async def test_a_spent_budget_stops_before_the_next_step():
    agents = Agents()
    pricey = tuple(card(name, cost=Cost(per_call=2)) for name in "abc")
    with pytest.raises(BudgetExceeded) as caught:
        await runner_with(agents).run(request_for(*CHAIN, cards=pricey, max_cost=5), Story())
    assert agents.steps() == ["a", "b"]
    assert caught.value.cost == 4


async def test_a_budget_holds_over_a_resume():
    agents, saver = Agents(), InMemorySaver()
    pricey = tuple(card(name, cost=Cost(per_call=2)) for name in "abc")
    runner = runner_with(agents, saver)
    limits = {"cards": pricey, "max_cost": 5, "task_id": "t", "approvals": ("c",)}
    waiting = await runner.run(request_for(*CHAIN, **limits), Story())
    assert waiting.cost == 4
    with pytest.raises(BudgetExceeded):
        await runner.run(request_for(*CHAIN, **limits, approved=frozenset({"c"})), Story())
    assert agents.steps() == ["a", "b"]


async def test_work_before_a_resume_counts_to_the_deadline():
    saver, time = InMemorySaver(), Time()

    async def slow(invocation):
        await time.sleep(50)
        return reply(invocation)

    agents = Agents(a=slow)
    runner = GraphRunner(Graphs(lambda _: saver), Steps(agents, clock=time), saver, clock=time)
    request = {"task_id": "t", "approvals": ("b",), "deadline_s": 60, "cards": (card("b", step_s=30),)}
    await runner.run(request_for(*CHAIN, **request), Story())
    await runner.run(request_for(*CHAIN, **request, approved=frozenset({"b"})), Story())
    assert agents.timeouts_s[1] == pytest.approx(10)


async def test_waiting_for_a_person_does_not_count_to_the_deadline():
    saver, agents = InMemorySaver(), Agents()
    clock = [0.0]
    runner = GraphRunner(Graphs(lambda _: saver), Steps(agents, clock=lambda: clock[0]), saver, clock=lambda: clock[0])
    request = {"task_id": "t", "approvals": ("b",), "deadline_s": 60}
    await runner.run(request_for(*CHAIN, **request), Story())
    clock[0] += 86_400
    outcome = await runner.run(request_for(*CHAIN, **request, approved=frozenset({"b"})), Story())
    assert outcome.resumed_steps == 1


@pytest.mark.parametrize("arrows", [CHAIN, DIAMOND])
async def test_what_was_done_before_a_run_waits_can_be_asked_for(arrows):
    """In the diamond, b waits while c, beside it, is done: no checkpoint holds c yet, only what it wrote."""

    async def refuses(invocation):
        return refusal(invocation)

    saver, request = InMemorySaver(), request_for(*arrows, approvals=("b",), task_id="t")
    spare = {"a": (Substitute(agent_id="z", skill_id="work"),)}
    request.cards["z"] = card("z")
    request = replace(request, plan=request.plan.model_copy(update={"substitutes": spare}))
    waiting = await runner_with(Agents(a=refuses), saver).run(request, Story())
    assert waiting.waiting_for == ("b",)
    another = runner_with(Agents(), saver)
    assert await another.done(request.task.tenant, "t", request.plan) == waiting.steps
    assert await another.done(request.task.tenant, "another", request.plan) == ()
    approved = replace(request, approved=frozenset({"b"}))
    steps = (await another.run(approved, Story())).steps
    assert [(step.agent_id, step.ok) for step in steps if step.node == "a"] == [("z", True), ("a", False)]

"""When an agent fails, others that the plan names do its step; a run that never ends is ended."""

import random

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from running_story import Agents, Story, Time, card, refusal, request_for

from agents.errors import BudgetExceeded, StepFailed
from agents.ports.running import RunRequest
from agents.running import run as running
from agents.running.compiler import Graphs
from agents.running.runner import GraphRunner
from agents.running.steps import Backoff, Steps
from schemas.card import Cost
from schemas.network import Substitute
from schemas.task import TaskEventKind


async def refuses(invocation):
    return refusal(invocation)


async def fails_for_now(invocation):
    return refusal(invocation, retryable=True)


def request(*arrows: str, stand_ins: dict[str, list[str]], **more) -> RunRequest:
    made = request_for(*arrows, **more)
    spare = {
        node: tuple(Substitute(agent_id=name, skill_id="work") for name in names) for node, names in stand_ins.items()
    }
    cards = {name: card(name) for names in stand_ins.values() for name in names} | made.cards
    plan = made.plan.model_copy(update={"substitutes": spare})
    return RunRequest(made.task, plan, made.parts, cards, made.approved, made.denied)


def runner_with(agents: Agents) -> GraphRunner:
    time, saver = Time(), InMemorySaver()
    steps = Steps(agents, clock=time, sleep=time.sleep, dice=random.Random(1), backoff=Backoff(base_s=0.01))
    return GraphRunner(Graphs(lambda _shape: saver), steps, saver, clock=time)


@pytest.mark.parametrize("arrows", [("task>a",), ("task>a", "a>z")])
async def test_a_substitute_does_the_step_of_an_agent_that_fails(arrows):
    agents, story = Agents(a=refuses), Story()
    outcome = await runner_with(agents).run(request(*arrows, stand_ins={"a": ["b"]}, task_id="t"), story)
    assert agents.steps()[:2] == ["a", "b"]
    assert [step_id.step_id for step_id in agents.asked[:2]] == ["t.a", "t.a.b"]
    assert {(step.agent_id, step.ok) for step in outcome.steps} >= {("a", False), ("b", True)}
    assert [data["agent_id"] for data in story.of(TaskEventKind.STEP_FINISHED)][:2] == ["a", "b"]


async def test_an_agent_has_all_its_attempts_before_another_is_asked():
    agents = Agents(a=fails_for_now)
    await runner_with(agents).run(request("task>a", stand_ins={"a": ["b"]}), Story())
    assert agents.steps() == ["a", "a", "a", "b"]


async def test_when_all_fail_the_first_agent_is_named():
    agents = Agents(a=refuses, b=refuses, c=refuses)
    with pytest.raises(StepFailed, match="a says") as failure:
        await runner_with(agents).run(request("task>a", stand_ins={"a": ["b", "c"]}), Story())
    assert agents.steps() == ["a", "b", "c"]
    assert len(failure.value.steps) == 3


async def test_a_substitute_that_is_too_dear_is_passed_over():
    agents = Agents(a=refuses)
    dear = card("b", cost=Cost(per_call=9.0))
    outcome = await runner_with(agents).run(
        request("task>a", stand_ins={"a": ["b", "c"]}, cards=(dear,), max_cost=1.0), Story()
    )
    assert agents.steps() == ["a", "c"]
    assert outcome.cost <= 1.0


async def test_a_substitute_that_left_the_fleet_is_passed_over():
    agents = Agents(a=refuses)
    made = request("task>a", stand_ins={"a": ["b", "c"]})
    del made.cards["b"]
    await runner_with(agents).run(made, Story())
    assert agents.steps() == ["a", "c"]


async def test_a_run_that_does_not_end_is_ended(monkeypatch):
    monkeypatch.setattr(running, "REQUESTS_MAX", 4)
    agents = Agents(a=fails_for_now)
    tireless = card("a", attempts=10)
    with pytest.raises(BudgetExceeded, match="4 requests"):
        await runner_with(agents).run(request_for("task>a", cards=(tireless,)), Story())
    assert agents.steps() == ["a"] * 4

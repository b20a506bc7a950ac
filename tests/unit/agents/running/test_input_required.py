"""An agent may say that the task lacks something: that ends its step, says what to add, and is no fault of its own."""

import pytest
from running_story import Agents, Story, Time, card, refusal, reply, request_for
from test_substitutes import fails_for_now, refuses, request, runner_with

from agents.errors import InputRequired, StepFailed
from agents.running.breaker import FAILURES_TO_OPEN, CircuitState
from agents.running.gates import Gates
from agents.running.refusals import CODE_CHARS
from agents.running.run import Run
from agents.running.steps import Steps
from schemas.invocation import INPUT_REQUIRED, InvocationError, InvocationReply
from schemas.task import TaskEventKind, counted


def asking(words: str, *, retryable: bool = False):
    """An agent that says what the task lacks."""

    async def answer(invocation):
        error = InvocationError(code=INPUT_REQUIRED, message=words, retryable=retryable)
        return InvocationReply(step_id=invocation.step_id, error=error)

    return answer


async def test_the_task_fails_with_what_it_lacks_and_nobody_is_asked_twice():
    agents, story = Agents(a=asking("attach a table", retryable=True)), Story()
    with pytest.raises(InputRequired, match="submit it again with what a asks for: attach a table") as caught:
        await runner_with(agents).run(request_for("task>a", task_id="t"), story)
    assert agents.steps() == ["a"]
    assert (caught.value.code, caught.value.retryable) == ("input_required", False)
    assert (caught.value.step_id, caught.value.agent_id) == ("t.a", "a")
    [step] = caught.value.steps
    assert (step.ok, step.error_code) == (False, "input_required")
    assert counted(caught.value.steps) == ()
    [finished] = story.of(TaskEventKind.STEP_FINISHED)
    assert finished["error_code"] == "input_required"
    assert "attach a table" in finished["error"]


async def test_another_agent_may_know_better_and_then_it_was_the_agents_failure():
    agents = Agents(a=asking("attach a table"))
    outcome = await runner_with(agents).run(request("task>a", stand_ins={"a": ["b"]}), Story())
    assert agents.steps() == ["a", "b"]
    assert counted(outcome.steps) == outcome.steps
    assert {(step.agent_id, step.ok) for step in outcome.steps} == {("a", False), ("b", True)}


@pytest.mark.parametrize(
    ("first", "others", "told"),
    [
        (asking("a table"), {"b": asking("a picture"), "c": refuses}, ("a", "input_required")),
        (asking("a table"), {"b": fails_for_now}, ("a", "input_required")),
        (refuses, {"b": refuses, "c": asking("a picture")}, ("c", "input_required")),
        (fails_for_now, {"b": asking("a picture")}, ("a", "step_failed")),
        (refuses, {"b": refuses}, ("a", "step_failed")),
    ],
    ids=["first of two", "one fails for now", "the last", "first may do it later", "nobody"],
)
async def test_of_a_step_that_nobody_did_what_is_lacking_is_told(first, others, told):
    made = request("task>a", stand_ins={"a": list(others)})
    with pytest.raises(StepFailed) as caught:
        await runner_with(Agents(a=first, **others)).run(made, Story())
    assert (caught.value.agent_id, caught.value.code) == told
    assert len(caught.value.steps) == 1 + len(others)


async def test_agents_that_ask_for_more_are_not_spared():
    time, said = Time(), [asking("a table")] * (FAILURES_TO_OPEN + 1)

    async def lacks_then_does(invocation):
        return await said.pop()(invocation) if said else reply(invocation)

    gates = Gates(clock=time, sleep=time.sleep)
    steps = Steps(Agents(a=lacks_then_does), gates=gates, clock=time, sleep=time.sleep)
    while said:
        with pytest.raises(InputRequired):
            await steps.perform(Run(request_for("task>a"), ("a",), Story(), time), "a")
    assert gates.of(card("a")).breaker.state is CircuitState.CLOSED
    done = await steps.perform(Run(request_for("task>a"), ("a",), Story(), time), "a")
    assert (done.outcome.ok, done.outcome.error_code) == (True, None)


async def test_an_agents_own_code_is_kept_shortened_and_never_becomes_the_tasks():
    async def wordy(invocation):
        said = refusal(invocation)
        assert said.error is not None
        return said.model_copy(update={"error": said.error.model_copy(update={"code": "c" * 1000})})

    with pytest.raises(StepFailed) as caught:
        await runner_with(Agents(a=wordy)).run(request_for("task>a"), Story())
    assert caught.value.code == "step_failed"
    code = caught.value.steps[0].error_code
    assert code is not None
    assert code.startswith("c" * CODE_CHARS)
    assert len(code) < CODE_CHARS + 5

"""What a task's record teaches of its agents, above all where the task itself lacked something."""

import base64

import numpy as np
import pytest

from agents.matching.live.lessons import lessons_of
from schemas.experience import ExperienceRecord
from schemas.task import StepOutcome, TaskState

DIMENSION = 4


def a_step(agent_id: str, node: str = "n0", *, error_code: str | None = None) -> StepOutcome:
    """A step that was done, or failed with that code."""
    return StepOutcome(
        step_id=f"t.{node}.{agent_id}",
        node=node,
        agent_id=agent_id,
        skill_id="work",
        attempts=1,
        latency_ms=1.0,
        cost=0.0,
        ok=error_code is None,
        error=error_code,
        error_code=error_code,
    )


def taught(*steps: StepOutcome, ended: TaskState | None = None, code: str | None = None) -> list[tuple[str, float]]:
    """Agents and their success, as the record of a task with these steps teaches them; it ended as its last step."""
    success = steps[-1].ok and ended is None if steps else False
    record = ExperienceRecord(
        record_id="r",
        task_id="t",
        tenant="default",
        state=ended or (TaskState.SUCCEEDED if success else TaskState.FAILED),
        success=success,
        vector=base64.b64encode(np.ones(DIMENSION, dtype="<f4").tobytes()).decode(),
        chosen=tuple(dict.fromkeys(step.agent_id for step in steps)) or ("a",),
        steps=steps,
        latency_ms=1.0,
        cost=0.0,
        failure_code=code,
    )
    return [(lesson.agent_id, lesson.success) for lesson in lessons_of(record, DIMENSION)]


def test_every_step_teaches_of_the_agent_that_did_it():
    assert taught(a_step("a", error_code="step_timed_out"), a_step("b")) == [("a", 0.0), ("b", 1.0)]


def test_who_says_what_the_task_lacks_is_believed_where_nobody_did_the_step():
    assert taught(a_step("a", error_code="input_required")) == []
    assert taught(a_step("a", error_code="input_required"), a_step("b", error_code="input_required")) == []


def test_the_failures_of_others_beside_it_are_theirs():
    steps = (a_step("a", error_code="input_required"), a_step("b", error_code="no_text"))
    assert taught(*steps) == [("b", 0.0)]


def test_who_says_so_of_a_step_that_another_agent_then_did_has_failed():
    assert taught(a_step("a", error_code="input_required"), a_step("b")) == [("a", 0.0), ("b", 1.0)]


@pytest.mark.parametrize("code", ["input_required", "no_text"])
def test_the_other_steps_of_the_task_prove_nothing_of_this_one(code):
    steps = (a_step("reader", "n0"), a_step("a", "n1", error_code=code))
    assert taught(*steps) == [("reader", 1.0), *([] if code == "input_required" else [("a", 0.0)])]


def test_of_a_task_that_somebody_cancelled_only_steps_that_had_ended_count():
    assert taught(ended=TaskState.CANCELLED) == []
    assert taught(ended=TaskState.FAILED) == [("a", 0.0)]
    assert taught(a_step("reader", "n0"), ended=TaskState.CANCELLED) == [("reader", 1.0)]
    assert taught(a_step("a", error_code="step_timed_out"), ended=TaskState.CANCELLED) == [("a", 0.0)]


@pytest.mark.parametrize("code", ["approval_denied", "budget_exceeded", "deadline_exceeded"])
def test_a_denied_overspent_or_late_task_is_no_failure_of_who_was_never_asked(code):
    assert taught(ended=TaskState.FAILED, code=code) == []
    assert taught(a_step("reader", "n0"), ended=TaskState.FAILED, code=code) == [("reader", 1.0)]
    assert taught(a_step("a", error_code="step_timed_out"), ended=TaskState.FAILED, code=code) == [("a", 0.0)]

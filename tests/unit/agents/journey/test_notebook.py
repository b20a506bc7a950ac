"""What a worker knows of a task in hand, when its time is over."""

import pytest

from agents.journey.changes import new_record
from agents.journey.notebook import Journey
from agents.journey.records import Held
from schemas.parts import text_part
from schemas.task import StepOutcome, TaskSubmitted


def a_step(node: str, latency_ms: float, *, ok: bool) -> StepOutcome:
    return StepOutcome(
        step_id=f"t.{node}", node=node, agent_id=node, skill_id="do", attempts=1, latency_ms=latency_ms, cost=1.0, ok=ok
    )


@pytest.mark.parametrize(("waited_ms", "failed"), [(10_000.0, ["late"]), (5_000.0, ["late"]), (4_900.0, [])])
def test_of_a_deadline_is_to_blame_who_had_most_of_the_time_and_did_not_answer(waited_ms, failed):
    task = TaskSubmitted(parts=(text_part("read it"),), deadline_s=10.0)
    journey = Journey(task, Held(new_record(task), 0))
    journey.did((a_step("done", 1.0, ok=True),), (a_step("late", waited_ms, ok=False),))
    journey.out_of_time()
    assert [step.node for step in journey.steps if not step.ok] == failed
    assert [step.node for step in journey.steps if step.ok] == ["done"]
    assert journey.cost == 1.0

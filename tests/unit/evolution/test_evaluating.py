"""Policies are compared on a stored window, on the same decisions, and the better one comes out better."""

import numpy as np
import pytest

from evolution.errors import NothingToEvaluate
from evolution.ports import ExperienceQuery
from evolution.replay.evaluating import PolicyEvaluation
from evolution.replay.policies import always, as_logged, best_scored, uniform
from evolution.store.memory_store import MemoryExperienceStore
from schemas.candidate import Candidate
from schemas.experience import Feedback
from tests.unit.evolution.experience_records import a_record

POLICIES = {
    "logged": as_logged,
    "uniform": uniform,
    "best scored": best_scored,
    "always good": always("good"),
    "always absent": always("absent"),
}


def a_choice(rng, number):
    """The score prefers the bad agent; exploration picked the good one in 30 % of cases."""
    chosen = "good" if rng.random() < 0.3 else "bad"
    candidates = (
        Candidate(agent_id="bad", skill_id="s", score=0.9, probability=0.7),
        Candidate(agent_id="good", skill_id="s", score=0.8, probability=0.3),
    )
    success = bool(rng.random() < {"good": 0.9, "bad": 0.5}[chosen])
    return a_record(f"t{number}", minutes=number, chosen=(chosen,), candidates=candidates, success=success)


@pytest.fixture
async def store():
    rng = np.random.default_rng(1)
    memory = MemoryExperienceStore()
    await memory.record([a_choice(rng, number) for number in range(1500)])
    await memory.record([a_record("team", chosen=("a", "b"))])
    return memory


async def test_policies_are_compared_on_the_same_decisions(store):
    found = await PolicyEvaluation(store).compare(ExperienceQuery(), POLICIES)
    value = {name: evaluation.doubly_robust.value for name, evaluation in found.evaluations.items()}
    assert value["always good"] == pytest.approx(0.9, abs=0.05)
    assert value["best scored"] == pytest.approx(0.5, abs=0.05)
    assert value["uniform"] == pytest.approx(0.7, abs=0.05)
    assert value["always absent"] == value["best scored"]
    assert found.evaluations["logged"].ips.value == pytest.approx(found.evaluations["logged"].logged_value)
    assert found.evaluations["always good"].doubly_robust.low > found.evaluations["best scored"].doubly_robust.high
    assert found.left_out == {"several agents worked together": 1}


async def test_what_people_said_of_a_task_is_what_it_earned(store):
    chosen = {record.task_id: record.chosen for record in await store.find(ExperienceQuery(limit=2000))}
    judged = [Feedback(task_id=task, score=0.9 if of == ("bad",) else 0.1) for task, of in chosen.items()]
    await store.add_feedback([*judged, Feedback(task_id="t1", tenant="other", score=0.5)])
    found = await PolicyEvaluation(store).compare(ExperienceQuery(), POLICIES)
    assert found.evaluations["always good"].doubly_robust.value == pytest.approx(0.1, abs=0.01)
    assert found.evaluations["best scored"].doubly_robust.value == pytest.approx(0.9, abs=0.01)


async def test_only_the_newest_decisions_are_kept_and_how_many_are_older_is_said(store):
    told = []
    evaluation = PolicyEvaluation(store, max_decisions=300)
    found = await evaluation.compare(ExperienceQuery(), {"logged": as_logged}, lambda *so_far: told.append(so_far))
    assert found.evaluations["logged"].decisions == 300
    assert found.left_out == {"they are older than the newest 300": 1201}
    assert told[-1] == (1501, 0)


async def test_a_window_without_decisions_says_why():
    store = MemoryExperienceStore()
    with pytest.raises(NothingToEvaluate, match="it is empty"):
        await PolicyEvaluation(store).compare(ExperienceQuery(), POLICIES)
    await store.record([a_record(chosen=("a", "b"))])
    with pytest.raises(NothingToEvaluate, match="1 several agents"):
        await PolicyEvaluation(store).compare(ExperienceQuery(), POLICIES)


async def test_a_policy_that_forgets_a_candidate_is_refused(store):
    with pytest.raises(ValueError, match="shorter"):
        await PolicyEvaluation(store).compare(ExperienceQuery(), {"broken": lambda record: (1.0,)})

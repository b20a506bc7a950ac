"""A busy second: every outcome is learned, some are judged first, and how fast they are studied changes nothing."""

import base64
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agents.matching.live.policy import WORTHLESS
from gateway.learning import pupil as module
from gateway.learning.pupil import JUDGED_PER_S, Pupil
from schemas.candidate import Candidate
from schemas.experience import ExperienceRecord, Feedback
from schemas.task import StepOutcome, TaskState

DIMENSION = 8
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def record(number: int, at: datetime) -> ExperienceRecord:
    vector = np.zeros(DIMENSION, np.float32)
    vector[number % DIMENSION] = 1.0
    return ExperienceRecord(
        record_id=f"r{number}", task_id=f"t{number}", tenant="default", at=at, state=TaskState.SUCCEEDED,
        success=number % 3 > 0, chosen=(f"a{number % 2}",), latency_ms=1, cost=0,
        vector=base64.b64encode(vector.tobytes()).decode(),
    )  # fmt: skip


def open_record(number: int, kind: int, chosen: str) -> ExperienceRecord:
    """A decision between two agents; only a1 succeeds, and only at kind 1."""
    vector = np.zeros(DIMENSION, np.float32)
    vector[kind] = 1.0
    candidates = tuple(
        Candidate(agent_id=agent, skill_id="s", score=0.5, scores={"dense": 0.5}, probability=float(agent == chosen))
        for agent in ("a0", "a1")
    )
    return record(number, NOON + timedelta(seconds=number)).model_copy(
        update={
            "vector": base64.b64encode(vector.tobytes()).decode(),
            "candidates": candidates,
            "chosen": (chosen,),
            "success": chosen == f"a{kind}",
        }
    )


def studied(records: list[ExperienceRecord]) -> Pupil:
    pupil = Pupil(DIMENSION, "encoder")
    for one in records:
        pupil.study(one)
    return pupil


def rows(pupil: Pupil) -> int:
    return len(pupil.learner._rows)


def test_a_busy_second_is_learned_whole_and_judged_in_part():
    pupil = studied([record(number, NOON) for number in range(10 * JUDGED_PER_S)])
    assert pupil.learner.policy.past.count == 10 * JUDGED_PER_S
    assert rows(pupil) == JUDGED_PER_S


def test_the_next_second_is_judged_again():
    first = [record(number, NOON) for number in range(2 * JUDGED_PER_S)]
    later = [record(number, NOON + timedelta(seconds=1)) for number in range(1_000, 1_003)]
    assert rows(studied([*first, *later])) == JUDGED_PER_S + 3


def test_a_record_that_comes_twice_counts_once():
    pupil = studied([record(1, NOON), record(2, NOON), record(1, NOON)])
    assert pupil.records == 2
    assert pupil.learner.policy.past.count == 2


def test_a_version_says_how_many_recent_choices_it_would_make_otherwise():
    assert studied([record(1, NOON)]).changed_choices() is None
    # Each kind was mostly sent to the agent that succeeds at it, one task in ten to the other.
    records = [open_record(number, number % 2, f"a{number % 2 ^ (number % 20 < 2)}") for number in range(100)]
    pupil = studied(records)
    pupil.learner.fit()
    assert pupil.changed_choices() == 0.1


def various(count: int) -> list[ExperienceRecord]:
    """Three seconds of tasks of many kinds, 8 agents among whom one in four is good at each."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(count):
        vector = rng.normal(0, 0.3, DIMENSION).astype(np.float32)
        vector[number % DIMENSION] += 1.0
        unit = (vector / np.linalg.norm(vector)).astype("<f4")
        agent = int(rng.integers(8))
        update = {
            "vector": base64.b64encode(unit.tobytes()).decode(),
            "chosen": (f"a{agent}",),
            "success": bool(rng.random() < (0.9 if agent % 4 == number % 4 else 0.2)),
        }
        found.append(record(number, NOON + timedelta(seconds=3 * number / count)).model_copy(update=update))
    return found


@pytest.mark.parametrize("lot", [7, 128, 900])
def test_in_lots_or_one_by_one_the_same_is_learned(lot):
    records = various(900)
    alone, together = studied(records), Pupil(DIMENSION, "encoder")
    for start in range(0, len(records), lot):
        together.study_all(records[start : start + lot])
    assert (together.records, together.new) == (alone.records, alone.new) == (900, 900)
    assert rows(together) == rows(alone) == 3 * JUDGED_PER_S
    np.testing.assert_allclose(list(together._errors), list(alone._errors), atol=1e-4)
    np.testing.assert_allclose(together.learner.fit(), alone.learner.fit(), atol=1e-3)
    ours, theirs = together.learner.policy, alone.learner.policy
    assert ours.past.task_ids == theirs.past.task_ids
    assert ours.past.vectors.tolist() == theirs.past.vectors.tolist()
    np.testing.assert_allclose(ours.standings.table, theirs.standings.table, atol=1e-5)
    np.testing.assert_allclose(ours.groups.counts, theirs.groups.counts, atol=1e-3)


def test_a_record_that_comes_twice_in_one_lot_counts_once():
    pupil = Pupil(DIMENSION, "encoder")
    pupil.study_all([record(1, NOON), record(2, NOON), record(1, NOON)])
    assert pupil.records == 2


def said(task: str, score: float, minutes: float = 1.0) -> Feedback:
    return Feedback(task_id=task, at=NOON + timedelta(minutes=minutes), score=score)


def test_what_people_say_counts_alike_before_its_record_is_studied_and_after():
    records = [record(number, NOON + timedelta(seconds=number)) for number in range(1, 9)]
    before, after = Pupil(DIMENSION, "encoder"), Pupil(DIMENSION, "encoder")
    before.heed(said("t4", 0.25))
    before.study_all(records)
    after.study_all(records)
    after.heed(said("t4", 0.25))
    assert before.learner.policy.past.outcomes.tolist() == after.learner.policy.past.outcomes.tolist()
    assert before.learner.policy.past.outcomes[3] == 0.25
    assert list(before.learner._outcomes) == list(after.learner._outcomes)


def test_the_latest_remark_counts_in_whatever_order_remarks_come():
    pupil = studied([record(1, NOON)])
    for remark in (said("t1", 0.0, minutes=2), said("t1", 1.0, minutes=1), said("t1", 0.5, minutes=3)):
        pupil.heed(remark)
    assert pupil.learner.policy.past.outcomes.tolist() == [0.5]


def test_a_remark_that_is_read_again_is_no_news():
    pupil = studied([record(1, NOON)])
    pupil.heed(said("t1", 0.0))
    news = pupil.new
    pupil.heed(said("t1", 0.0))
    pupil.heed(said("t1", 0.0, minutes=9))
    assert pupil.new == news


def test_an_answer_found_worthless_may_still_be_found_good():
    pupil = studied([record(1, NOON)])
    pupil.heed(said("t1", 0.0))
    assert pupil.learner.policy.past.outcomes[0] == np.float32(WORTHLESS)
    pupil.heed(said("t1", 1.0, minutes=2))
    assert pupil.learner.policy.past.outcomes[0] == 1.0


def test_praise_for_a_result_is_not_for_the_agent_whose_place_another_took():
    steps = (
        StepOutcome(step_id="s", node="n", agent_id="a0", skill_id="s", attempts=1, latency_ms=1, cost=0, ok=False),
        StepOutcome(step_id="s", node="n", agent_id="a1", skill_id="s", attempts=1, latency_ms=1, cost=0, ok=True),
    )
    pupil = studied([record(1, NOON).model_copy(update={"steps": steps})])
    pupil.heed(said("t1", 1.0))
    assert pupil.learner.policy.past.outcomes.tolist() == [0.0, 1.0]


def test_a_version_says_when_it_learned_and_how_various_that_was():
    records = [open_record(number, number % 2, "a1") for number in range(20)]
    lineage = studied([*records[10:], *records[:10]]).lineage("code")
    assert (lineage.since, lineage.until, lineage.records) == (records[0].at, records[-1].at, 20)
    assert lineage.metrics["effective_agents"] == 1.0
    assert "effective_tasks" in lineage.metrics


def test_of_what_people_say_of_tasks_not_studied_yet_only_the_latest_is_kept(monkeypatch):
    monkeypatch.setattr(module, "CAPACITY", 3)
    pupil = Pupil(DIMENSION, "encoder")
    for number in range(10):
        pupil.heed(said(f"t{number}", 0.5))
    assert list(pupil._said) == ["t7", "t8", "t9"]

"""Records become decisions; what is no decision is left out and counted."""

import numpy as np
import pytest

from evolution.replay.decision_log import cross_fitted, decisions, probabilities_of, why_no_decision
from evolution.replay.off_policy import evaluate
from schemas.candidate import Candidate
from tests.unit.evolution.experience_records import a_record


def a_decision(chosen: str, *, minutes: float = 0.0, success: bool = True, **probabilities: float):
    candidates = tuple(
        Candidate(agent_id=agent, skill_id="do", score=0.5, probability=probability)
        for agent, probability in probabilities.items()
    )
    return a_record(minutes=minutes, chosen=(chosen,), candidates=candidates, success=success)


def test_records_become_arrays_oldest_first_with_a_column_for_each_candidate():
    late = a_decision("b", minutes=5, success=False, b=0.25, c=0.75)
    early = a_decision("a", minutes=1, a=0.6, b=0.4)
    taken = decisions([late, early])
    assert taken.agents == ("a", "b", "c")
    assert taken.records == (early, late)
    assert taken.log.actions.tolist() == [0, 0]
    assert taken.chosen.tolist() == [0, 1]
    assert taken.candidates.tolist() == [[0, 1], [1, 2]]
    assert taken.log.rewards.tolist() == [1.0, 0.0]
    assert np.allclose(taken.log.logged, [[0.6, 0.4], [0.25, 0.75]])


def test_decisions_of_fewer_candidates_have_nothing_in_the_columns_left_over():
    taken = decisions([a_decision("a", minutes=1, a=0.6, b=0.4), a_decision("c", minutes=2, c=1.0)])
    assert taken.log.logged.tolist() == [[0.6, 0.4], [1.0, 0.0]]
    assert taken.candidates.tolist() == [[0, 1], [2, -1]]
    assert cross_fitted(taken)[1, 1] == 0.0


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (a_record(chosen=("a", "b")), "several agents"),
        (a_decision("a", a=0.6, b=0.4).model_copy(update={"chosen": ()}), "no agent was chosen"),
        (a_decision("x", a=0.6, b=0.4), "no logged probability"),
        (a_decision("a", a=0.0, b=1.0), "no logged probability"),
        (a_decision("a", a=0.6, b=0.1), "do not sum"),
    ],
)
def test_what_is_no_decision_is_left_out_with_its_reason(record, reason):
    assert reason in why_no_decision(record)
    taken = decisions([record, a_decision("a", a=1.0)])
    assert len(taken.records) == 1
    assert sum(taken.left_out.values()) == 1


def test_no_decisions_at_all_make_an_empty_log():
    assert len(decisions([]).log.actions) == 0


def test_a_policy_is_asked_for_every_record_in_the_order_of_its_candidates():
    taken = decisions([a_decision("b", b=0.5, a=0.5)])
    assert probabilities_of(lambda record: (0.9, 0.1), taken).tolist() == [[0.9, 0.1]]


def test_the_reward_model_never_saw_the_decision_that_it_predicts():
    taken = decisions([a_decision("a", minutes=i, success=i == 0, a=1.0) for i in range(50)])
    predicted = cross_fitted(taken, folds=5)
    assert predicted[0, 0] == 0.0  # the only success is its own
    assert predicted[1, 0] > 0.0


def test_a_better_policy_is_found_better_on_records_of_a_worse_one():
    rng = np.random.default_rng(7)
    records = []
    for number in range(800):
        chosen = "good" if rng.random() < 0.5 else "bad"
        success = bool(rng.random() < {"good": 0.9, "bad": 0.4}[chosen])
        records.append(a_decision(chosen, minutes=number, success=success, bad=0.5, good=0.5))
    taken = decisions(records)
    target = probabilities_of(lambda record: (0.0, 1.0), taken)
    evaluation = evaluate(taken.log, target, cross_fitted(taken))
    assert evaluation.doubly_robust.low > evaluation.logged_value
    assert evaluation.doubly_robust.low <= 0.9 <= evaluation.doubly_robust.high
    assert evaluation.warnings == ()

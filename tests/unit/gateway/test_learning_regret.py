"""The benchmark of learning says truly where success is lost: its three parts add up to what the oracle has more."""

import numpy as np
import pytest

from benchmarks.learning_fleet import AGENTS, DRIFT_AT, KINDS, fleet_of
from benchmarks.learning_regret import Decision, lost

TRUTH = fleet_of(np.eye(KINDS), 0)
KINDS_OF_TASKS = np.arange(DRIFT_AT) % KINDS


def decided(candidates: int, tried: int) -> dict[int, Decision]:
    """The first of that many candidates by number is ranked highest; ``tried`` says whose place is taken."""
    return {task: Decision(tuple(range(candidates)), tried) for task in range(200)}


@pytest.mark.parametrize(("candidates", "tried"), [(8, 0), (8, 3), (AGENTS - 5, 7), (1, 0)])
def test_the_parts_add_up_to_what_the_oracle_has_more(candidates, tried):
    parts = lost(decided(candidates, tried), TRUTH, KINDS_OF_TASKS, range(200))
    chances = np.stack([TRUTH.strengths(task)[:, KINDS_OF_TASKS[task]] for task in range(200)])
    oracle = chances.max(axis=1).mean()
    assert sum(parts) == pytest.approx((oracle - chances[:, tried].mean()) / oracle, abs=3e-4)
    assert parts[0] >= 0.0 <= parts[1]


def test_whoever_has_all_candidates_and_tries_nobody_loses_by_ranking_alone():
    missing, ranked, tried = lost(decided(AGENTS - 5, 0), TRUTH, KINDS_OF_TASKS, range(200))
    assert (missing, tried) == (0.0, 0.0)
    assert ranked > 0.1


def test_nothing_decided_is_nothing_lost():
    assert lost({}, TRUTH, KINDS_OF_TASKS, range(200)) == []

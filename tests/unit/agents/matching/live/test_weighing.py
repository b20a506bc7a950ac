"""Weights are the most likely ones under a pull to the prior, and never hold against an agent what speaks for it."""

import numpy as np
import pytest

from agents.matching.live.features import NAMES
from agents.matching.live.weighing import (
    IMPORTANCE_MAX,
    NEVER_AGAINST,
    PRIOR_WEIGHTS,
    PULL,
    chances,
    fit,
    importance_of,
)

BOUND = np.array([name in NEVER_AGAINST for name in NAMES])


@pytest.fixture
def told() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, outcomes and importance of 300 steps whose truth is far from the prior."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, len(NAMES))).astype(np.float32)
    truth = np.where(BOUND, -1.0, 1.0) * rng.uniform(0.2, 1.0, len(NAMES))
    outcomes = (rng.random(300) < chances(rows, truth)).astype(np.float32)
    return rows, outcomes, rng.uniform(1.0, 5.0, 300).astype(np.float32)


def test_nothing_is_likelier_than_what_is_found(told):
    rows, outcomes, importance = told

    def loss(weights: np.ndarray) -> float:
        odds = rows.astype(np.float64) @ weights
        moved = weights - PRIOR_WEIGHTS
        return float(importance @ (np.logaddexp(0.0, odds) - outcomes * odds) + PULL * moved @ moved)

    found = fit(rows, outcomes, importance)
    assert loss(found) < loss(PRIOR_WEIGHTS) - 10
    for place in range(len(NAMES)):
        for step in (-0.02, 0.02):
            other = found.copy()
            other[place] += step
            assert loss(other) > loss(found) or (BOUND[place] and other[place] < 0)


def test_what_speaks_for_an_agent_is_never_held_against_it(told):
    found = fit(*told)
    assert (found[BOUND] >= 0).all()
    assert found[BOUND].min() == 0


def test_without_outcomes_the_prior_stands_and_is_nobodys_to_change():
    found = fit(np.zeros((0, len(NAMES)), np.float32), np.zeros(0, np.float32), np.zeros(0, np.float32))
    assert found.tolist() == PRIOR_WEIGHTS.tolist()
    found += 1.0
    assert found.tolist() != PRIOR_WEIGHTS.tolist()


def test_what_was_seldom_sought_counts_for_more_up_to_a_bound():
    assert [importance_of(share) for share in (1.0, 0.5, 0.01, 0.0)] == [1.0, 2.0, IMPORTANCE_MAX, IMPORTANCE_MAX]

"""The figures mean what they say."""

import numpy as np
import pytest

from agents.matching.evaluation import scores

RANKED = np.array([[3, 1, 2], [0, 2, 1], [5, 4, -1]])


def test_the_best_right_agent_counts():
    places = scores.first_hits(RANKED, [(2, 1), (0,), (7,)])
    assert places.tolist() == [1, 0, scores.NEVER]
    assert scores.recall_at(places, 1) == pytest.approx(1 / 3)
    assert scores.recall_at(places, 2) == pytest.approx(2 / 3)
    assert scores.mean_reciprocal_rank(places) == pytest.approx(0.5)


def test_auroc_counts_ties_half():
    assert scores.auroc(np.array([2.0, 1.0]), np.array([1.0, 0.0])) == pytest.approx(0.875)
    assert scores.auroc(np.array([1.0]), np.array([])) is None


def test_out_of_scope_is_caught_above_what_keeps_95_percent():
    real = np.linspace(0, 1, 101)
    assert scores.caught_at(np.array([0.96, 0.94, 2.0, 0.1]), real) == pytest.approx(0.5)
    assert scores.caught_at(np.array([1.0]), np.array([])) is None


def test_nothing_asked_is_nothing_found():
    assert scores.recall_at(np.array([], dtype=np.int64), 1) is None
    assert scores.percentiles_ms([]) == {"p50": 0.0, "p99": 0.0}


def test_the_more_real_queries_may_be_lost_the_more_strange_ones_are_caught():
    rng = np.random.default_rng(0)
    curve = scores.caught_by_kept(rng.normal(1.0, 1.0, 300), rng.normal(0.0, 1.0, 300))
    kept, caught = zip(*curve, strict=True)
    assert list(kept) == sorted(kept)
    assert list(caught) == sorted(caught, reverse=True)
    assert scores.caught_by_kept(np.array([]), np.array([1.0])) is None

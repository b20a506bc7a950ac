"""Exploration: bounded, by the probability of being the best, with propensities that are exactly what is drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.matching.live.exploring import (
    IMAGINED,
    affordable,
    best_probabilities,
    drawn,
    hopeful_third,
    propensities,
    shortlisted,
)
from schemas.policy_state import EXPLORATION_FLOOR

CHANCES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)


@given(CHANCES, st.floats(0.0, 1.0))
def test_propensities_sum_to_one_and_never_exceed_the_bound(chances, bound):
    ordered = np.sort(np.array(chances, dtype=np.float32))[::-1]
    best = best_probabilities(ordered, np.zeros(len(ordered), dtype=np.float32))
    shares = propensities(best, bound)
    assert shares.sum() == pytest.approx(1.0)
    assert (shares >= 0).all()
    assert 1.0 - shares[0] <= bound + 1e-9


def test_the_probability_to_be_the_best_is_that_of_drawing_it():
    chances, amount = np.array([0.8, 0.7, 0.3], np.float32), np.array([5.0, 1.0, 0.0], np.float32)
    spread = np.sqrt(chances * (1 - chances) / (amount + IMAGINED + 1.0)) + 1e-3
    draws = np.random.default_rng(0).normal(chances, spread, (200_000, 3))
    shares = np.bincount(draws.argmax(axis=1), minlength=3) / len(draws)
    assert best_probabilities(chances, amount) == pytest.approx(shares, abs=0.02)


def test_what_is_proven_is_explored_less():
    chances = np.array([0.8, 0.6], np.float32)
    unsure = best_probabilities(chances, np.array([0.0, 0.0], np.float32))
    proven = best_probabilities(chances, np.array([200.0, 200.0], np.float32))
    assert proven[1] < unsure[1]


def test_tickets_draw_each_place_as_often_as_its_propensity_says():
    shares = np.array([0.9, 0.06, 0.0, 0.04])
    tickets = (np.arange(10_000) + 0.5) / 10_000
    counts = np.bincount([drawn(shares, ticket) for ticket in tickets], minlength=4) / len(tickets)
    assert counts == pytest.approx(shares, abs=1e-3)


def test_only_tickets_below_the_explored_share_try_anybody():
    shares = np.array([0.9, 0.06, 0.04])
    assert {drawn(shares, ticket) for ticket in np.linspace(0.101, 0.999, 50)} == {0}


def test_a_shortlist_holds_the_first_and_those_likeliest_to_be_the_best():
    best = np.array([0.5, 0.1, 0.0, 0.0, 0.0, 0.3, 0.0, 0.1])
    assert shortlisted(best, 4) == [0, 1, 5, 7]
    assert shortlisted(np.array([0.5, 0.2, 0.0, 0.1, 0.1, 0.1]), 5) == [0, 1, 2, 3, 4]
    assert shortlisted(best, 8) == list(range(8))


def test_the_likeliest_of_the_others_comes_third_and_nobody_is_lost():
    assert hopeful_third(np.array([0.6, 0.1, 0.0, 0.05, 0.2, 0.05])) == [0, 1, 4, 2, 3, 5]
    assert [hopeful_third(np.ones(count)) for count in (1, 2, 3, 4)] == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]


def test_a_single_candidate_is_chosen_with_certainty():
    assert propensities(best_probabilities(np.array([0.2], np.float32), np.zeros(1, np.float32)), 0.5).tolist() == [1.0]


def test_a_newcomer_is_tried_more_than_a_known_agent_of_the_same_chance():
    chances, nothing = np.array([0.8, 0.4, 0.4], np.float32), np.zeros(3, np.float32)
    best = best_probabilities(chances, nothing, np.array([100.0, 100.0, 0.0], np.float32))
    assert best[2] > 2 * best[1]


def test_less_is_tried_where_the_best_agent_is_nearly_sure_and_never_more_than_the_bound():
    assert [affordable(0.05, chance) for chance in (0.0, 0.3, 0.5)] == [0.05] * 3
    assert affordable(0.05, 0.75) == pytest.approx(0.025)
    assert affordable(0.05, 1.0) == EXPLORATION_FLOOR
    assert affordable(0.0, 0.9) == 0.0

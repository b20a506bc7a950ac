"""Policies beside one another: the difference, its interval, and what cannot be told."""

import numpy as np
import pytest

from evolution.replay.comparing import best_single, changed_choices, difference, spread
from evolution.replay.decision_log import decisions
from evolution.replay.policies import always, as_logged
from tests.unit.evolution.decisions_made import a_decision


def log(rng, count, *, main=0.7, spare=0.5, explored=0.5):
    records = []
    for number in range(count):
        agent = "spare" if rng.random() < explored else "main"
        success = rng.random() < (spare if agent == "spare" else main)
        records.append(a_decision(number, explored=explored, chosen=agent, success=bool(success)))
    return records


def test_the_interval_of_the_difference_covers_the_truth_in_nineteen_of_twenty_logs():
    rng = np.random.default_rng(3)
    covered, width = 0, []
    for _ in range(60):
        found = difference(decisions(log(rng, 300, explored=0.3)), always("main"), always("spare"))
        covered += found.low <= 0.2 <= found.high
        width.append(found.high - found.low)
    assert covered >= 54  # of a binomial with p = 0.95, less happens once in 170 times; the seed is fixed
    assert np.mean(width) < 0.5


def test_a_policy_is_as_good_as_itself():
    taken = decisions(log(np.random.default_rng(1), 200))
    found = difference(taken, always("main"), always("main"))
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_a_log_without_exploration_says_nothing_of_the_untried():
    taken = decisions([a_decision(i, explored=0.0, chosen="main") for i in range(300)])
    assert difference(taken, always("spare"), always("main")) is None
    assert difference(decisions([]), always("spare"), always("main")) is None


def test_few_decisions_that_say_something_of_a_policy_say_too_little_of_a_difference():
    few, enough = (log(np.random.default_rng(2), count, explored=0.5) for count in (60, 300))
    assert difference(decisions(few), always("spare"), as_logged) is None
    assert difference(decisions(few), as_logged, always("spare")) is None
    assert difference(decisions(enough), always("spare"), as_logged) is not None


def test_the_size_of_a_change_is_the_share_of_choices_that_differ():
    records = [a_decision(i, explored=0.2) for i in range(10)]
    assert changed_choices(records, always("main"), always("spare")) == 1.0
    assert changed_choices(records, always("main"), as_logged) == pytest.approx(0.2)
    assert changed_choices([], always("main"), always("spare")) is None


def test_the_best_single_agent_must_have_been_tried_often_enough():
    rng = np.random.default_rng(2)
    assert best_single(decisions(log(rng, 400))) == "main"
    lucky = [a_decision(i, explored=0.1, chosen="main", success=i % 2 == 0) for i in range(100)]
    lucky += [a_decision(1000 + i, explored=0.1, chosen="spare") for i in range(5)]
    assert best_single(decisions(lucky)) == "main"
    assert best_single(decisions(lucky[:10])) is None


def test_effective_numbers_count_equal_shares_in_full():
    assert spread(["a", "b", "c", "d"] * 5) == pytest.approx(4.0)
    assert spread(["a"] * 99) == pytest.approx(1.0)
    assert spread(["a"] * 99 + ["b"]) < 1.1
    assert spread([]) == 0.0

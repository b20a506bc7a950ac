"""What an agent's own steps say of it: exact where looked at, corrected by every step since, left out at wish."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.matching.live.own_steps import HALF_LIFE_STEPS, NOISE, STEPS_MAX, OwnSteps, alike, solved
from agents.matching.live.past import PastTasks

DIMENSION = 8
USUAL = 0.5


def directions(rng: np.random.Generator, count: int) -> np.ndarray:
    vectors = rng.normal(size=(count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def remembered(count: int, agents: int, seed: int, capacity: int = 4_096) -> PastTasks:
    rng = np.random.default_rng(seed)
    past = PastTasks(DIMENSION, capacity)
    add(past, rng, count, agents)
    return past


def add(past: PastTasks, rng: np.random.Generator, count: int, agents: int) -> None:
    numbers = rng.integers(0, agents, count).astype(np.int32)
    outcomes = rng.integers(0, 2, count).astype(np.float32)
    past.extend([f"t{at}" for at in range(count)], directions(rng, count), numbers, outcomes)


def look(steps: OwnSteps, past: PastTasks) -> None:
    steps.look(past.vectors, past.agents, past.outcomes, USUAL, past.serials)


def hear(steps: OwnSteps, past: PastTasks, new: int) -> None:
    steps.hear(past.vectors, past.agents, past.outcomes, new, past.serials)


def said(steps: OwnSteps, past: PastTasks, vector: np.ndarray) -> np.ndarray:
    return steps.said(past.near(vector).cosines, past.agents, past.serials)


@settings(deadline=None, max_examples=20)
@given(count=st.integers(2, 30), seed=st.integers(0, 1_000))
def test_less_what_a_step_adds_all_is_as_if_that_step_were_unknown(count, seed):
    rng = np.random.default_rng(seed)
    vectors, beyond = directions(rng, count), rng.normal(size=count).astype(np.float32)
    weights, added = solved(vectors, beyond)
    left = int(rng.integers(count))
    others = np.arange(count) != left
    noise = NOISE * np.exp2(np.arange(count)[::-1] / HALF_LIFE_STEPS)
    without = np.linalg.solve(alike(vectors[others] @ vectors[others].T) + np.diag(noise[others]), beyond[others])
    expected = alike(vectors[left] @ vectors[others].T) @ without
    assert alike(vectors[left] @ vectors.T) @ weights - added[left] == pytest.approx(expected, abs=1e-4)


def test_an_agent_is_told_apart_by_where_it_did_well():
    past, steps = PastTasks(DIMENSION), OwnSteps()
    here, there = np.eye(DIMENSION, dtype=np.float32)[:2]
    for number in range(6):
        past.add(f"a{number}", here, 0, 1.0)
        past.add(f"b{number}", there, 0, 0.0)
        past.add(f"c{number}", here, 1, 0.0)
    look(steps, past)
    good_here, bad_here = said(steps, past, here)
    good_there, nothing_known = said(steps, past, there)
    assert good_here > 0.4 > -0.4 > bad_here
    assert good_there < -0.4
    assert abs(nothing_known) < 0.01


def test_that_others_are_asked_more_says_nothing_against_an_agent():
    past, steps = PastTasks(DIMENSION), OwnSteps()
    here = np.eye(DIMENSION, dtype=np.float32)[0]
    past.add("once", here, 1, 1.0)
    look(steps, past)
    before = said(steps, past, here)[1]
    for number in range(50):
        past.add(f"t{number}", here, 0, 1.0)
    look(steps, past)
    assert said(steps, past, here)[1] == pytest.approx(before)


def test_between_two_looks_failures_take_back_what_was_said():
    past, steps = PastTasks(DIMENSION), OwnSteps()
    here = np.eye(DIMENSION, dtype=np.float32)[0]
    for number in range(40):
        past.add(f"t{number}", here, 0, 1.0)
    look(steps, past)
    for number in range(4):
        past.add(f"u{number}", here, 0, 0.0)
        hear(steps, past, 1)
    assert said(steps, past, here)[0] == pytest.approx(-USUAL, abs=0.05)


@settings(deadline=None, max_examples=15)
@given(lots=st.lists(st.integers(1, 40), min_size=1, max_size=6), seed=st.integers(0, 1_000))
def test_steps_heard_in_lots_count_as_if_each_were_heard_by_itself(lots, seed):
    past, rng = remembered(60, 3, seed), np.random.default_rng(seed)
    together, apart = OwnSteps(), OwnSteps()
    look(together, past)
    look(apart, past)
    for lot in lots:
        numbers, outcomes = rng.integers(0, 4, lot).astype(np.int32), rng.integers(0, 2, lot).astype(np.float32)
        for at, vector in enumerate(directions(rng, lot)):
            past.add(f"n{at}", vector, int(numbers[at]), float(outcomes[at]))
            hear(apart, past, 1)
        hear(together, past, lot)
    for ours, theirs in zip(together.kept(past.serials), apart.kept(past.serials), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_what_the_past_dropped_says_nothing_and_what_stays_is_still_its_own():
    past, rng = remembered(400, 4, 1, capacity=400), np.random.default_rng(2)
    steps = OwnSteps()
    look(steps, past)
    weights, _ = steps.kept(past.serials)
    add(past, rng, 10, 4)
    kept, _ = steps.kept(past.serials)
    stayed = past.serials[:-10]
    assert len(stayed) == 360
    np.testing.assert_array_equal(kept, weights[stayed])
    hear(steps, past, 10)
    assert len(steps.kept(past.serials)[0]) == past.count


def test_only_the_latest_steps_of_an_agent_are_looked_at():
    past, steps = remembered(STEPS_MAX + 50, 1, 3), OwnSteps()
    look(steps, past)
    weights, _ = steps.kept(past.serials)
    assert not weights[:50].any()
    assert weights[50:].all()


def test_a_corrected_outcome_is_looked_at_again():
    past, steps = remembered(100, 1, 4), OwnSteps()
    look(steps, past)
    before = steps.kept(past.serials)[0].copy()
    row = int(np.flatnonzero(past.outcomes)[50])
    assert past.correct(past.task_ids[row], 0.001)
    look(steps, past)
    np.testing.assert_array_equal(steps.kept(past.serials)[0], before)
    steps.outdate(0)
    look(steps, past)
    assert abs(steps.kept(past.serials)[0] - before).max() > 0.1


def test_nothing_is_said_before_anything_happened():
    past, steps = PastTasks(DIMENSION), OwnSteps()
    vector = np.eye(DIMENSION, dtype=np.float32)[0]
    look(steps, past)
    assert said(steps, past, vector).shape == (0,)
    past.add("t", vector, 0, 1.0)
    assert OwnSteps().said(past.near(vector).cosines, past.agents, past.serials).tolist() == []

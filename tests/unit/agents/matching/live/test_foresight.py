"""Questions that were expected get the answers that they would have got anyway, whatever came in between."""

import numpy as np
import pytest

from agents.matching.live.evidence import Near
from agents.matching.live.past import DROPPED_ROWS, PastTasks

DIMENSION = 16


def tasks(count: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def past_of(vectors: np.ndarray, capacity: int = 1_000) -> PastTasks:
    past = PastTasks(DIMENSION, capacity)
    add(past, vectors)
    return past


def add(past: PastTasks, vectors: np.ndarray) -> None:
    for vector in vectors:
        past.add(f"t{past.count}", vector, past.count % 3, 1.0)


def assert_same(one: Near, other: Near) -> None:
    assert one.rows.tolist() == other.rows.tolist()
    np.testing.assert_allclose(one.gaps, other.gaps, atol=1e-5)
    assert one.likest == pytest.approx(other.likest, abs=1e-5)


@pytest.mark.parametrize("before", [0, 5, 300, 700])
def test_a_question_on_the_way_sees_all_that_was_added_until_then(before):
    known, coming = tasks(before, 1), tasks(20, 2)
    past = past_of(known)
    past.expect(coming, range(0, 20, 2))
    for place in range(0, 20, 2):
        assert_same(past.near(coming[place]), past_of(np.vstack([known, coming[:place]])).near(coming[place]))
        add(past, coming[place : place + 2])


def test_many_added_at_once_count_like_one_by_one():
    coming = tasks(30)
    past = past_of(tasks(50, 1))
    past.expect(coming, [29])
    past.extend([f"n{number}" for number in range(29)], coming[:29], np.zeros(29, np.int32), np.ones(29, np.float32))
    assert_same(past.near(coming[29]), past_of(np.vstack([tasks(50, 1), coming[:29]])).near(coming[29]))


def test_the_same_question_twice_is_answered_twice():
    coming = np.vstack([tasks(1), tasks(1), tasks(1, 3)])
    past = past_of(tasks(50, 1))
    past.expect(coming, [0, 1])
    first = past.near(coming[0])
    add(past, coming[:1])
    assert past.near(coming[1]).likest == pytest.approx(1.0, abs=1e-5)
    assert first.likest < 0.999


def test_what_comes_otherwise_than_expected_is_answered_by_what_came():
    coming, others = tasks(10), tasks(10, 5)
    past = past_of(tasks(50, 1))
    past.expect(coming, range(10))
    add(past, others)
    assert_same(past.near(coming[3]), past_of(np.vstack([tasks(50, 1), others])).near(coming[3]))
    assert_same(past.near(others[0]), past_of(np.vstack([tasks(50, 1), others])).near(others[0]))


def test_more_than_was_expected_may_come():
    coming, more = tasks(4), tasks(400, 5)
    past = past_of(tasks(50, 1))
    past.expect(coming, range(4))
    add(past, np.vstack([coming, more]))
    assert_same(past.near(coming[0]), past_of(np.vstack([tasks(50, 1), coming, more])).near(coming[0]))


@pytest.mark.parametrize("capacity", [60, 3 * DROPPED_ROWS])
def test_a_full_past_that_drops_its_oldest_on_the_way_answers_by_what_is_left(capacity):
    known, coming = tasks(capacity - 5, 1), tasks(20, 2)
    past, plain = past_of(known, capacity), past_of(known, capacity)
    past.expect(coming, range(20))
    for vector in coming:
        assert_same(past.near(vector), plain.near(vector))
        add(past, vector[None])
        add(plain, vector[None])
    assert past.count == plain.count < capacity

"""Several agents that are good and not all alike."""

import numpy as np
import pytest

from agents.matching.diversity import diverse

DOUBLE = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32)
VALUES = np.array([0.9, 0.88, 0.8, 0.1], dtype=np.float32)


def test_the_best_is_first_and_its_double_gives_way():
    assert diverse(VALUES, DOUBLE, 2).tolist() == [0, 2]


def test_a_bad_agent_does_not_get_in_by_being_different():
    assert diverse(VALUES, DOUBLE, 3).tolist() == [0, 2, 1]


def test_without_regard_to_likeness_it_is_the_plain_order():
    assert diverse(VALUES, DOUBLE, 4, likeness_counts=0.0).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("scale", [0.001, 1.0, 1_000.0])
def test_the_scale_of_values_does_not_matter(scale: float):
    assert diverse(VALUES * np.float32(scale) - 7, DOUBLE, 3).tolist() == [0, 2, 1]


def test_no_more_than_there_are_and_none_twice():
    assert sorted(diverse(np.ones(4, dtype=np.float32), DOUBLE, 9).tolist()) == [0, 1, 2, 3]
    assert diverse(np.zeros(0, dtype=np.float32), DOUBLE[:0], 3).tolist() == []


def test_a_share_out_of_range_is_refused():
    with pytest.raises(ValueError, match="expected 0 to 1"):
        diverse(VALUES, DOUBLE, 2, likeness_counts=1.5)


def test_what_is_usual_among_the_near_is_no_likeness():
    values = np.array([0.9, 0.88, 0.6, 0.3], dtype=np.float32)
    angles = np.radians([0.0, 5.0, 60.0, 90.0])
    vectors = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    assert diverse(values, vectors, 2, 1.0, usual_likeness=0.5).tolist() == [0, 2]
    assert diverse(values, vectors, 2, 0.0, usual_likeness=0.5).tolist() == [0, 1]

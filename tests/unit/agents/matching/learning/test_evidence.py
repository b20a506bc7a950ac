"""Past queries speak for the agents that solved them, and for nobody else."""

import numpy as np
import pytest

from agents.matching.learning.evidence import FAR, Evidence

EAST, NORTH = np.eye(2, dtype=np.float32)
BETWEEN = np.array([0.6, 0.8], dtype=np.float32)


def test_the_nearest_past_query_of_each_agent_is_found():
    support = Evidence.of(np.stack([EAST, NORTH, BETWEEN]), ((2,), (0,), (2,)), agents=4).support(NORTH[None])
    assert support.nearest[0] == pytest.approx([1.0, FAR, 0.8, FAR])


def test_near_queries_count_more_than_far_ones():
    weight = Evidence.of(np.stack([EAST, NORTH]), ((0,), (1,)), agents=2).support(BETWEEN[None]).weight[0]
    assert weight[1] == pytest.approx(np.exp(4.0) * weight[0], rel=1e-4)


def test_a_query_may_have_several_solvers_or_none():
    evidence = Evidence.of(np.stack([EAST, NORTH]), ((1, 0), ()), agents=3)
    assert evidence.counts.tolist() == [1, 1, 0]


def test_without_events_nobody_has_support():
    support = Evidence.of(np.zeros((0, 2), dtype=np.float32), (), agents=3).support(EAST[None])
    assert support.nearest.tolist() == [[FAR] * 3]
    assert not support.weight.any()

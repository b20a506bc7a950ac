"""What became of each agent's steps: counts, the usual time and price, and corrections within what is known."""

import numpy as np
import pytest

from agents.matching.live.features import NAMES, Shown
from agents.matching.live.policy import LivePolicy, Outcome
from agents.matching.live.standings import FIRST_AGENTS, Standings


def test_time_and_price_are_the_means_of_first_steps_each_by_itself():
    standings = Standings()
    number = standings.met("a")
    for latency_ms, cost in ((100.0, 2.0), (300.0, 6.0)):
        standings.add(number, 1.0, latency_ms, cost)
    assert standings.table[number, 2:].tolist() == pytest.approx([200.0, 4.0], rel=0.02)


def test_outcomes_count_as_far_as_they_were_good():
    standings = Standings()
    standings.add(standings.met("a"), 0.25, 10.0, 0.0)
    assert standings.table[0, :2].tolist() == pytest.approx([0.25, 0.75])


@pytest.mark.parametrize(
    ("change", "counts"), [(0.5, (1.5, 0.5)), (-0.5, (0.5, 1.5)), (9.0, (2.0, 0.0)), (-9.0, (0.0, 2.0))]
)
def test_a_correction_moves_no_more_than_there_is(change, counts):
    standings = Standings()
    standings.put("a", (1.0, 1.0, 10.0, 0.0))
    standings.correct(0, change)
    assert tuple(standings.table[0, :2].tolist()) == counts


def test_more_agents_than_there_is_room_for_keep_what_is_known_of_each():
    standings = Standings()
    for number in range(3 * FIRST_AGENTS):
        standings.put(f"agent-{number}", (float(number), 0.0, 0.0, 0.0))
    assert standings.table[:, 0].tolist() == list(range(3 * FIRST_AGENTS))
    assert standings.number("agent-70") == 70
    assert standings.number("nobody") is None


def test_an_agent_as_slow_and_dear_as_most_is_neither_for_nor_against():
    policy, here = LivePolicy.blank(2), np.array([1.0, 0.0], np.float32)
    for number in range(4):
        for agent, latency_ms in (("usual", 50.0), ("quick", 10.0), ("slow", 90.0)):
            policy.learn(Outcome(f"t{number}", agent, here, 1.0, latency_ms=latency_ms, cost=3.0))
    zeros = np.zeros(4, np.float32)
    rows = policy.judge(here, ("usual", "quick", "slow", "newcomer"), Shown(zeros, zeros, zeros)).laid.rows
    usual, quick, slow, newcomer = rows[:, NAMES.index("slowness")]
    assert (usual, newcomer) == (pytest.approx(0.0, abs=1e-6), 0.0)
    assert quick < -0.5 < 0.5 < slow
    assert rows[:, NAMES.index("price")] == pytest.approx(np.zeros(4), abs=1e-6)

"""Whoever is passed over for long is as good as new: what it did counts less, and it is tried again."""

import numpy as np
import pytest

from agents.matching.live.features import NAMES, Shown
from agents.matching.live.groups import FIRST_AT
from agents.matching.live.learner import Learner
from agents.matching.live.policy import LivePolicy, Outcome
from agents.matching.live.snapshots import Title, artefacts_of, policy_of, snapshot_of
from agents.matching.live.standings import PASSED_OVER_MIN, PASSED_OVER_ROUNDS, Standings, half_life
from schemas.audition import audition_id
from schemas.policy import Lineage

DIMENSION = 16


def task(rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(0, 0.1, DIMENSION).astype(np.float32)
    vector[0] += 1.0
    return vector / np.linalg.norm(vector)


def passed_over(outcomes: int) -> tuple[LivePolicy, np.random.Generator]:
    """ "late" failed thirty times beside "usual", which then did so many tasks more, half of them well."""
    rng = np.random.default_rng(0)
    learner = Learner(LivePolicy.blank(DIMENSION))
    for number in range(FIRST_AT):
        agent = "late" if number % 8 == 0 else "usual"
        learner.learn(Outcome(f"t{number}", agent, task(rng), float(agent == "usual" and number % 2), 0.5))
    learner.fit()
    for number in range(outcomes):
        learner.policy.learn(Outcome(f"u{number}", "usual", task(rng), float(number % 2), 0.5))
    return learner.policy, rng


def shown(agents: int) -> Shown:
    zeros = np.zeros(agents, np.float32)
    return Shown(np.full(agents, 0.5, np.float32), zeros, zeros)


def test_what_it_did_counts_half_after_some_rounds_of_the_others():
    standings = Standings()
    late, usual = standings.met("late"), standings.met("usual")
    standings.add(late, 1.0, 20.0, 0.0)
    for _ in range(PASSED_OVER_MIN):
        standings.add(usual, 1.0, 20.0, 0.0)
    assert standings.kept == pytest.approx([0.5, 1.0])
    standings.add(late, 0.0, 20.0, 0.0)
    assert standings.kept[late] == 1.0
    assert standings.table[late, 0] < 0.5 < standings.table[late, 1]


def test_a_newcomers_audition_passes_nobody_over_and_a_snapshot_knows_it():
    policy, rng = LivePolicy.blank(DIMENSION), np.random.default_rng(0)
    asked = [Outcome(f"t{number}", "usual", task(rng), 1.0, nearness=0.5) for number in range(50)]
    auditioned = [Outcome(audition_id(), "new", task(rng), 1.0, nearness=0.5) for _ in range(40)]
    policy.learn_all([*asked[:25], *auditioned, *asked[25:]])
    assert policy.standings.kept == pytest.approx([1.0, 0.5 ** (25 / PASSED_OVER_MIN)])
    title = Title("p", None, "e", Lineage())
    again = policy_of(snapshot_of(policy, title, {}), artefacts_of(policy), DIMENSION)
    assert again.standings.kept == pytest.approx(policy.standings.kept)


def test_a_large_fleet_forgets_no_faster_for_being_large():
    assert half_life(3) == PASSED_OVER_MIN
    assert half_life(5_000) == PASSED_OVER_ROUNDS * 5_000


def test_old_failures_hold_nobody_back_for_ever():
    leans, steps = [], []
    for outcomes in (0, 4 * PASSED_OVER_MIN):
        policy, rng = passed_over(outcomes)
        laid = policy.judge(task(rng), ("usual", "late"), shown(2)).laid
        leans.append([laid.rows[1, NAMES.index(name)] for name in ("reputation", "group")])
        steps.append(laid.steps[1])
    assert max(leans[0]) < -1.0 < 2 * min(leans[1])
    assert steps[1] < steps[0] / 8


def test_counting_anew_and_step_by_step_know_who_was_passed_over():
    policy, rng = passed_over(PASSED_OVER_MIN)
    vector = task(rng)
    before = policy.judge(vector, ("late", "usual"), shown(2)).chances
    policy.groups.outdated = True
    policy.groups.find(policy.past, len(policy.standings), 0)
    assert policy.judge(vector, ("late", "usual"), shown(2)).chances == pytest.approx(before, abs=1e-4)

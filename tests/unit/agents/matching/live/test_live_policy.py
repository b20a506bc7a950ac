"""The policy at work: it learns who is good at what, follows those who change, and is fair to newcomers."""

import numpy as np
import pytest

from agents.matching.live.features import NAMES, Shown
from agents.matching.live.learner import Learner
from agents.matching.live.policy import NEAR_KEPT, LivePolicy, Outcome, named, weights_of
from agents.matching.live.weighing import PRIOR_WEIGHTS

DIMENSION = 16


def near(where: int, rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(0, 0.1, DIMENSION).astype(np.float32)
    vector[where] += 1.0
    return vector / np.linalg.norm(vector)


def shown(agents: int, nearness: float = 0.5) -> Shown:
    zeros = np.zeros(agents, np.float32)
    return Shown(np.full(agents, nearness, np.float32), zeros, zeros)


def outcome(number: int, agent: str, vector: np.ndarray, success: float, **more: float) -> Outcome:
    return Outcome(f"t{number}", agent, vector, success, nearness=0.5, **more)


def taught(good_at: dict[str, int], tasks: int = 120) -> tuple[Learner, np.random.Generator]:
    """Every agent tried at two kinds of task in turn; it succeeds at its own."""
    rng = np.random.default_rng(0)
    learner = Learner(LivePolicy.blank(DIMENSION))
    for number in range(tasks):
        kind, agent = number % 2, sorted(good_at)[number // 2 % len(good_at)]
        learner.learn(outcome(number, agent, near(kind, rng), float(good_at[agent] == kind)))
    learner.fit()
    return learner, rng


def test_agents_are_ranked_by_what_they_did_at_such_tasks_when_their_cards_are_alike():
    learner, rng = taught({"a": 0, "b": 1})
    for kind, best in ((0, 0), (1, 1)):
        chances = learner.policy.judge(near(kind, rng), ("a", "b"), shown(2)).chances
        assert chances.argmax() == best
        assert chances.max() > 0.6 > 0.4 > chances.min()


def test_an_agents_own_steps_speak_for_it_alone():
    learner, rng = taught({"a": 0, "b": 1})
    rows = learner.policy.judge(near(0, rng), ("new", "b", "a"), shown(3)).laid.rows
    new, b, a = rows[:, NAMES.index("own steps")]
    assert b < -0.5 < 0.5 < a
    assert new == 0.0


def test_an_agent_that_changes_is_seen_through_within_some_tasks():
    learner, rng = taught({"a": 0, "b": 1})
    for number in range(20):
        learner.learn(outcome(1_000 + number, "a", near(0, rng), 0.0))
        learner.learn(outcome(2_000 + number, "b", near(0, rng), 1.0))
    chances = learner.policy.judge(near(0, rng), ("a", "b"), shown(2)).chances
    assert chances[1] > 0.6 > 0.4 > chances[0]


def test_a_newcomer_is_ranked_by_its_card_above_those_that_failed():
    learner, rng = taught({"a": 0, "b": 1})
    judged = learner.policy.judge(near(0, rng), ("b", "new"), shown(2))
    assert judged.chances[1] > judged.chances[0]
    assert judged.amount[1] == 0.0


def test_a_nearer_card_is_never_worse():
    learner, rng = taught({"a": 0, "b": 1})
    vector = near(5, rng)
    chances = [learner.policy.judge(vector, ("new",), shown(1, cosine)).chances[0] for cosine in (0.2, 0.4, 0.8)]
    assert chances == sorted(chances)


def test_a_blank_policy_orders_by_the_cards():
    zeros = np.zeros(3, np.float32)
    nearness = np.array([0.3, 0.6, 0.4], np.float32)
    vector = near(0, np.random.default_rng(1))
    chances = LivePolicy.blank(DIMENSION).judge(vector, ("a", "b", "c"), Shown(nearness, zeros, zeros)).chances
    assert np.argsort(-chances).tolist() == [1, 2, 0]


def test_the_same_outcomes_make_the_same_policy():
    one, other = taught({"a": 0, "b": 1})[0].policy, taught({"a": 0, "b": 1})[0].policy
    assert np.array_equal(one.weights, other.weights)
    assert np.array_equal(one.past.vectors, other.past.vectors)


def test_nothing_learned_keeps_the_prior_weights():
    assert np.array_equal(Learner(LivePolicy.blank(DIMENSION)).fit(), PRIOR_WEIGHTS)


def test_feedback_corrects_a_result_that_looked_well():
    learner, rng = taught({"a": 0, "b": 1})
    vector = near(0, rng)
    before = learner.policy.judge(vector, ("a",), shown(1)).chances[0]
    for number in range(120):
        if learner.policy.past.agents[number] == 0:
            learner.policy.correct(f"t{number}", 0.0)
    assert learner.policy.judge(vector, ("a",), shown(1)).chances[0] < before / 2


def test_weights_of_unknown_features_are_left_out_and_missing_ones_weigh_nothing():
    weights = weights_of({"bias": 1.0, "of another version": 9.0})
    assert named(weights)["bias"] == 1.0
    assert weights.sum() == 1.0
    assert len(weights) == len(NAMES)


@pytest.mark.parametrize("success", [0.0, 1.0])
def test_one_outcome_moves_the_chance_the_right_way(success):
    rng = np.random.default_rng(3)
    policy, vector = LivePolicy.blank(DIMENSION), near(0, rng)
    before = policy.judge(vector, ("a", "b"), shown(2)).chances
    policy.learn(outcome(0, "a", vector, success))
    after = policy.judge(vector, ("a", "b"), shown(2)).chances
    gap = float(after[0] - after[1]) - float(before[0] - before[1])
    assert gap > 0 if success else gap < 0


def test_outcomes_learned_at_once_teach_what_they_teach_one_by_one():
    (one_by_one, rng), (at_once, _) = (taught({"a": 0, "b": 1}, 300) for _ in range(2))
    told = [
        outcome(
            5_000 + number, "abc"[number % 3], near(number % 2, rng), float(number % 5 < 2), latency_ms=20.0 + number
        )
        for number in range(50)
    ]
    for each in told:
        one_by_one.policy.learn(each)
    at_once.policy.learn_all(told)
    at_once.policy.learn_all([])
    assert at_once.policy.events == one_by_one.policy.events == 350
    assert at_once.policy.past.task_ids == one_by_one.policy.past.task_ids
    vector = near(1, rng)
    chances = [each.policy.judge(vector, ("a", "b", "c"), shown(3)).chances for each in (one_by_one, at_once)]
    assert chances[1] == pytest.approx(chances[0], abs=1e-4)


def test_what_was_foreseen_is_judged_as_what_was_not_and_outdated_by_the_next_outcome():
    (foreseeing, rng), (asked, _) = (taught({"a": 0, "b": 1}, 600) for _ in range(2))
    vectors = np.stack([near(number % 2, rng) for number in range(NEAR_KEPT)])
    foreseeing.policy.foresee(vectors)
    for number, vector in enumerate(vectors):
        if number == NEAR_KEPT // 2:
            for each in (foreseeing, asked):
                each.policy.learn(outcome(9_000, "b", vectors[-1], 1.0))
        chances = [each.policy.judge(vector, ("a", "b"), shown(2)).chances for each in (foreseeing, asked)]
        assert chances[0] == pytest.approx(chances[1], abs=1e-5)

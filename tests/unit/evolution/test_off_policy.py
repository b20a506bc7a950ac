"""Off-policy estimates agree with the Open Bandit Pipeline, their intervals hold the truth, and doubts are spoken."""

import warnings

import numpy as np
import pytest

from evolution.replay.off_policy import DecisionLog, Evaluation, evaluate

AGENTS = 6
RUNS = 200


def softmax(scores):
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


class World:
    """Tasks whose success depends on the agent; a logging policy, a target policy, and the target's true value."""

    def __init__(self, logging_sharpness: float, target_sharpness: float, floor: float) -> None:
        self.logging_sharpness = logging_sharpness
        self.target_sharpness = target_sharpness
        self.floor = floor
        skills = np.random.default_rng(99).normal(size=(200_000, AGENTS))
        self.value = float((softmax(target_sharpness * skills) * self.success(skills)).sum(axis=1).mean())

    @staticmethod
    def success(skills):
        return 0.1 + 0.8 / (1 + np.exp(-skills))

    def draw(self, rng, count):
        skills = rng.normal(size=(count, AGENTS))
        logged = (1 - self.floor) * softmax(self.logging_sharpness * rng.normal(size=skills.shape))
        logged += self.floor / AGENTS
        actions = (logged.cumsum(axis=1) > rng.random((count, 1))).argmax(axis=1)
        success = self.success(skills)
        rewards = (rng.random(count) < success[np.arange(count), actions]).astype(float)
        predicted = np.clip(0.8 * np.clip(success + 0.15 * rng.normal(size=success.shape), 0, 1) + 0.05, 0, 1)
        return DecisionLog(actions, rewards, logged), softmax(self.target_sharpness * skills), predicted


def test_values_are_those_of_the_open_bandit_pipeline():
    # Imported here: torch and matplotlib come with it, 4 s that only this test's worker should pay, and warnings.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from obp.ope import DoublyRobust, InverseProbabilityWeighting, SelfNormalizedInverseProbabilityWeighting

    log, target, predicted = World(1.0, 2.0, 0.1).draw(np.random.default_rng(5), 3000)
    ours = evaluate(log, target, predicted)
    given = {
        "reward": log.rewards,
        "action": log.actions,
        "pscore": log.chosen(log.logged),
        "action_dist": target[:, :, None],
    }
    theirs = {
        "ips": InverseProbabilityWeighting().estimate_policy_value(**given),
        "self_normalised": SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(**given),
        "doubly_robust": DoublyRobust().estimate_policy_value(
            **given, estimated_rewards_by_reg_model=predicted[:, :, None]
        ),
    }
    for name, value in theirs.items():
        assert getattr(ours, name).value == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize(
    ("count", "world"),
    [
        (300, World(0.5, 1.0, 0.1)),
        (1000, World(1.5, 3.0, 0.05)),
        (3000, World(1.5, 3.0, 0.02)),
    ],
    ids=["mild weights, few decisions", "harsh weights", "harsher weights, many decisions"],
)
def test_the_95_percent_intervals_hold_the_true_value_in_at_least_93_percent_of_200_runs(count, world):
    rng = np.random.default_rng(20261121)
    evaluations = [evaluate(*world.draw(rng, count)) for _ in range(RUNS)]
    coverage = {name: covered(evaluations, name, world.value) for name in ("ips", "self_normalised", "doubly_robust")}
    assert min(coverage.values()) >= 0.93, coverage
    widths = {name: width(evaluations, name) for name in coverage}
    assert widths["doubly_robust"] < widths["ips"], widths
    assert widths["ips"] < 0.4, widths


def covered(evaluations: list[Evaluation], name: str, value: float) -> float:
    estimates = [getattr(evaluation, name) for evaluation in evaluations]
    return float(np.mean([estimate.low <= value <= estimate.high for estimate in estimates]))


def width(evaluations: list[Evaluation], name: str) -> float:
    return float(np.mean([getattr(e, name).high - getattr(e, name).low for e in evaluations]))


def test_the_logging_policy_itself_is_worth_what_it_earned():
    log, _, predicted = World(1.0, 1.0, 0.1).draw(np.random.default_rng(1), 2000)
    evaluation = evaluate(log, log.logged, predicted)
    assert evaluation.ips.value == pytest.approx(evaluation.logged_value)
    assert evaluation.effective_size == pytest.approx(2000)
    assert evaluation.warnings == ()


def test_a_policy_that_takes_what_the_log_never_took_is_warned_of():
    rng = np.random.default_rng(2)
    logged = np.tile([0.5, 0.5, 0.0], (400, 1))
    log = DecisionLog(rng.integers(0, 2, 400), rng.integers(0, 2, 400).astype(float), logged)
    target = np.tile([0.3, 0.3, 0.4], (400, 1))
    evaluation = evaluate(log, target, np.full((400, 3), 0.5))
    assert evaluation.unsupported == pytest.approx(0.4)
    assert "missing support: 40.0 %" in evaluation.warnings[0]
    for estimate in (evaluation.ips, evaluation.self_normalised, evaluation.doubly_robust):
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.high - estimate.low > 0.4


@pytest.mark.parametrize("unknown_success", [0.0, 1.0])
def test_intervals_hold_the_truth_whatever_the_choices_do_that_the_log_never_took(unknown_success):
    rng, held = np.random.default_rng(7), {"ips": 0, "self_normalised": 0, "doubly_robust": 0}
    logged, target = np.tile([0.5, 0.5, 0.0], (500, 1)), np.tile([0.1, 0.4, 0.5], (500, 1))
    truth = 0.1 * 0.9 + 0.4 * 0.8 + 0.5 * unknown_success
    for _ in range(40):
        actions = rng.integers(0, 2, 500)
        rewards = (rng.random(500) < np.array([0.9, 0.8])[actions]).astype(float)
        found = evaluate(DecisionLog(actions, rewards, logged), target, np.full((500, 3), 0.85))
        for name in held:
            estimate = getattr(found, name)
            held[name] += estimate.low <= truth <= estimate.high
    assert min(held.values()) >= 37, held


def test_few_effective_decisions_are_warned_of():
    rng = np.random.default_rng(3)
    logged = np.tile([0.99, 0.01], (500, 1))
    log = DecisionLog((rng.random(500) < 0.01).astype(int), rng.integers(0, 2, 500).astype(float), logged)
    evaluation = evaluate(log, np.tile([0.0, 1.0], (500, 1)), np.full((500, 2), 0.5))
    assert any("effective decisions" in warning for warning in evaluation.warnings)


def test_probabilities_that_were_not_those_of_the_choice_are_warned_of():
    rng = np.random.default_rng(4)
    actions = (rng.random(4000) < 0.5).astype(int)
    log = DecisionLog(actions, np.ones(4000), np.tile([0.9, 0.1], (4000, 1)))
    evaluation = evaluate(log, np.tile([0.5, 0.5], (4000, 1)), np.full((4000, 2), 0.5))
    assert any("mean weight" in warning for warning in evaluation.warnings)


def test_an_honest_log_is_not_doubted_because_nothing_rare_was_drawn_yet():
    # Of a choice that comes once in a thousand tasks, 400 tasks often show none: their weights alone vary little.
    log = DecisionLog(np.zeros(400, dtype=int), np.ones(400), np.tile([0.999, 0.001], (400, 1)))
    evaluation = evaluate(log, np.tile([0.5, 0.5], (400, 1)), np.full((400, 2), 0.5))
    assert evaluation.mean_weight == pytest.approx(0.5 / 0.999)
    assert not any("mean weight" in warning for warning in evaluation.warnings)


def test_an_estimate_lies_within_its_interval_though_chance_drew_rare_choices_too_often():
    actions = (np.arange(4000) % 200 < 23).astype(int)
    rewards = (np.arange(4000) % 10 < 7).astype(float)
    log = DecisionLog(actions, rewards, np.tile([0.9, 0.1], (4000, 1)))
    evaluation = evaluate(log, np.tile([0.5, 0.5], (4000, 1)), np.full((4000, 2), 0.7))
    assert evaluation.mean_weight > 1.05
    for estimate in (evaluation.ips, evaluation.self_normalised, evaluation.doubly_robust):
        assert estimate.low <= estimate.value <= estimate.high


def test_a_target_that_never_did_what_was_logged_says_nothing():
    log = DecisionLog(np.zeros(100, dtype=int), np.ones(100), np.tile([0.5, 0.5], (100, 1)))
    evaluation = evaluate(log, np.tile([0.0, 1.0], (100, 1)), np.full((100, 2), 0.5))
    assert (evaluation.self_normalised.low, evaluation.self_normalised.high) == (0.0, 1.0)


@pytest.mark.parametrize("rewards", [0.0, 1.0])
def test_rewards_that_never_vary_keep_their_intervals_in_range(rewards):
    log = DecisionLog(np.zeros(200, dtype=int), np.full(200, rewards), np.tile([1.0, 0.0], (200, 1)))
    evaluation = evaluate(log, log.logged, np.full((200, 2), 0.5))
    for estimate in (evaluation.ips, evaluation.self_normalised, evaluation.doubly_robust):
        assert 0.0 <= estimate.low <= rewards <= estimate.high <= 1.0


def test_what_cannot_be_evaluated_is_said():
    one = np.ones((1, 1))
    empty = DecisionLog(np.array([], dtype=int), np.array([]), np.ones((0, 2)))
    with pytest.raises(ValueError, match="empty"):
        evaluate(empty, np.ones((0, 2)), np.ones((0, 2)))
    with pytest.raises(ValueError, match="sum to 1"):
        evaluate(DecisionLog(np.array([0]), np.array([1.0]), one), 0.5 * one, one)
    with pytest.raises(ValueError, match="probability 0"):
        DecisionLog(np.array([1]), np.array([1.0]), np.array([[1.0, 0.0]]))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        DecisionLog(np.array([0]), np.array([7.0]), one)
    with pytest.raises(ValueError, match="sizes"):
        DecisionLog(np.array([0, 0]), np.array([1.0]), one)

"""What an answer proves: all in a fleet that fails at what it cannot do, nothing in one that always answers."""

import numpy as np
import pytest

from agents.matching.live.features import Shown
from agents.matching.live.learner import Learner
from agents.matching.live.policy import LivePolicy, Outcome
from agents.matching.live.trust import Trust, claim

AGENTS = tuple(f"a{number}" for number in range(12))
DIMENSION = 48
TASKS = 500


class Fleet:
    """Cards that mostly tell who is right: the card of another is nearer for some of each agent's tasks."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._true = _unit(self._rng.normal(size=(len(AGENTS), DIMENSION)))
        self._cards = _unit(0.5 * self._true + _unit(self._rng.normal(size=self._true.shape)))

    def task(self) -> tuple[int, np.ndarray, Shown]:
        """Who is right, the task, and what the cards say."""
        right = int(self._rng.integers(len(AGENTS)))
        vector = _unit(self._true[right] + 0.8 * _unit(self._rng.normal(size=DIMENSION))).astype(np.float32)
        zeros = np.zeros(len(AGENTS), np.float32)
        return right, vector, Shown((self._cards @ vector).astype(np.float32), zeros, zeros)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def routed(right_succeeds: float, wrong_succeeds: float, seed: int) -> tuple[float, float, float]:
    """Of the last tasks the shares that the nearest card and the learner gave to who was right, and the trust."""
    fleet, luck = Fleet(seed), np.random.default_rng([seed, 1])
    learner = Learner(LivePolicy.blank(DIMENSION))
    by_card, by_policy = [], []
    for number in range(TASKS):
        right, vector, shown = fleet.task()
        chances = learner.policy.judge(vector, AGENTS, shown).chances
        order = np.lexsort((-shown.similarity, -chances)) if number >= 50 else np.argsort(-shown.similarity)
        by_card.append(int(shown.similarity.argmax()) == right)
        by_policy.append(int(order[0]) == right)
        tried = [int(one) for one in order[:3]]
        if luck.random() < 0.05:
            tried.insert(0, int(luck.integers(len(AGENTS))))
        for agent in tried:
            success = float(luck.random() < (right_succeeds if agent == right else wrong_succeeds))
            near = float(shown.similarity[agent])
            learner.learn(Outcome(f"t{number}", AGENTS[agent], vector, success, nearness=near))
            if success:
                break
        if number >= 49 and number % 25 == 24:
            learner.fit()
    last = slice(TASKS // 2, TASKS)
    return float(np.mean(by_card[last])), float(np.mean(by_policy[last])), learner.policy.trust


@pytest.mark.parametrize("seed", [0, 1])
def test_a_fleet_that_answers_whatever_it_is_asked_is_routed_by_its_cards(seed):
    by_card, learned, trust = routed(0.97, 0.97, seed)
    assert learned > by_card - 0.04
    assert trust < 0.1


@pytest.mark.parametrize("seed", [0, 1])
def test_a_fleet_that_fails_at_what_it_cannot_do_is_routed_better_than_by_its_cards(seed):
    by_card, learned, trust = routed(0.95, 0.1, seed)
    assert trust > 0.9
    assert learned > by_card + 0.05


def test_what_strangers_do_says_how_far_answers_are_trusted():
    fails, answers = Trust(), Trust()
    for number in range(40):
        for trust, by_strangers in ((fails, 0.0), (answers, 1.0)):
            trust.hear(1.0, stranger=False)
            if number % 4 == 0:
                trust.hear(by_strangers, stranger=True)
    assert fails.share > 0.9
    assert answers.share == 0.0


def test_trust_follows_a_fleet_that_changes():
    trust = Trust()
    for _ in range(300):
        trust.hear(1.0, stranger=True)
    for _ in range(300):
        trust.hear(1.0, stranger=False)
        trust.hear(0.0, stranger=True)
    assert trust.share > 0.9


def test_a_success_counts_as_its_card_claims_it_where_answers_prove_nothing_and_a_failure_always():
    policy = LivePolicy.blank(DIMENSION)
    policy.trust = 0.0
    vector = _unit(np.ones(DIMENSION)).astype(np.float32)
    far, near, unknown = (Outcome("t", "a", vector, 1.0, nearness=one) for one in (0.1, 0.7, None))
    assert policy.credit(far) < 0.1 < 0.9 < policy.credit(near)
    assert policy.credit(unknown) == claim(None) == 0.5
    assert policy.credit(Outcome("t", "a", vector, 0.0, nearness=0.7)) == 0.0


def test_what_people_say_counts_whole_however_little_answers_are_trusted():
    policy = LivePolicy.blank(DIMENSION)
    policy.trust = 0.0
    vector = _unit(np.ones(DIMENSION)).astype(np.float32)
    policy.learn_all([Outcome("t1", "a", vector, 1.0, nearness=0.1)])
    assert policy.past.outcomes[0] < 0.1
    policy.correct("t1", 1.0)
    assert policy.past.outcomes[0] == 1.0

"""Learning from the success of whom one chose: better with every step, within its bounds, open to newcomers."""

import numpy as np
import pytest

from agents.matching.learning.bandit import BanditLearner
from tests.unit.agents.matching.learning.fleet_of_words import TOPICS, FleetOfWords, first_right


def walk(learner: BanditLearner, fleet: FleetOfWords, steps: int) -> np.ndarray:
    asked = fleet.solved(steps, noise=0.6)
    successes = []
    for start in range(0, steps, 10):
        some = asked.pick(np.arange(start, min(start + 10, steps)))
        chosen = learner.choose(some.vectors, some.texts)
        right = np.array([agent in gold for agent, gold in zip(chosen.agents, some.solved_by, strict=True)])
        learner.learn(some.vectors, some.texts, chosen.agents, right)
        successes += right.tolist()
        if learner.is_due:
            learner.refit()
    return np.array(successes)


def test_it_gets_better_by_what_it_chose():
    fleet = FleetOfWords()
    successes = walk(BanditLearner(fleet.cards), fleet, 500)
    assert successes[-100:].mean() > successes[:100].mean() + 0.1


def test_what_failed_is_remembered_at_once():
    fleet = FleetOfWords()
    learner = BanditLearner(fleet.cards, explore_share=0.0)
    walk(learner, fleet, 120)
    asked = fleet.solved(1)
    tried = []
    for _ in range(60):
        chosen = learner.choose(asked.vectors, asked.texts)
        tried.append(int(chosen.agents[0]))
        learner.learn(asked.vectors, asked.texts, chosen.agents, np.array([False]))
    assert len(set(tried)) > 1


def test_agents_that_may_not_be_chosen_are_not_but_are_ranked():
    fleet = FleetOfWords(honest=True)
    choosable = np.arange(len(TOPICS)) < 9
    learner = BanditLearner(fleet.cards, choosable=choosable, explore_share=1.0)
    asked = fleet.solved(300)
    assert choosable[learner.choose(asked.vectors, asked.texts).agents].all()
    walk(learner, fleet, 300)
    learner.refit()
    newcomers = fleet.solved(100, agents=(9, 10, 11), noise=0.5)
    assert first_right(learner.model.rank(newcomers.vectors, newcomers.texts), newcomers) > 0.5


def test_nobody_may_be_chosen():
    fleet = FleetOfWords()
    learner = BanditLearner(fleet.cards, choosable=np.zeros(len(TOPICS), dtype=bool))
    chosen = learner.choose(*_question(fleet))
    assert chosen.agents.tolist() == [-1]
    assert chosen.propensities.tolist() == [0.0]
    learner.learn(*_question(fleet), chosen.agents, np.array([False]))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_propensities_are_the_shares_with_which_agents_are_chosen(share: float):
    fleet = FleetOfWords()
    learner = BanditLearner(fleet.cards, explore_share=share)
    vectors, texts = _question(fleet)
    chosen = learner.choose(np.repeat(vectors, 3_000, axis=0), texts * 3_000)
    for agent in np.unique(chosen.agents):
        told = chosen.propensities[chosen.agents == agent]
        assert np.ptp(told) < 1e-5
        assert (chosen.agents == agent).mean() == pytest.approx(told[0], abs=0.035)


def test_exploration_stays_within_its_share():
    fleet = FleetOfWords()
    asked = fleet.solved(2_000)
    chosen = BanditLearner(fleet.cards, explore_share=0.1).choose(asked.vectors, asked.texts)
    assert (chosen.propensities < 0.5).mean() < 0.12


def _question(fleet: FleetOfWords) -> tuple[np.ndarray, tuple[str, ...]]:
    asked = fleet.solved(1)
    return asked.vectors, asked.texts

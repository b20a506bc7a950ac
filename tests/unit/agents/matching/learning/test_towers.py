"""The shared map serves newcomers too; failures push away; little evidence leaves an agent near its card."""

import numpy as np
import pytest

from agents.matching.learning import towers
from agents.matching.learning.towers import Towers
from tests.unit.agents.matching.learning.fleet_of_words import FleetOfWords, unit


def test_untrained_it_is_plain_cosine():
    cards = unit(np.random.default_rng(0).normal(size=(5, 8)))
    logits = Towers.untrained(cards).logits(cards)
    assert logits == pytest.approx(towers.SHARPNESS * cards @ cards.T, abs=1e-4)


def test_without_anything_solved_nothing_is_learned():
    fleet = FleetOfWords()
    failed = towers.fit(fleet.cards.both, fleet.work, np.arange(12), np.zeros(12, dtype=bool))
    assert np.array_equal(failed.places, fleet.cards.both)


def test_only_agents_with_evidence_move_from_their_cards():
    fleet = FleetOfWords()
    past = fleet.solved(200, agents=(0, 1, 2))
    rows, agents = past.pairs
    learned = towers.fit(fleet.cards.both, past.vectors[rows], agents, np.ones(len(rows), dtype=bool))
    moved = np.abs(learned.places - fleet.cards.both).max(axis=1) > 1e-4
    assert moved.tolist() == [True] * 3 + [False] * 9


def test_the_map_learned_from_some_helps_the_others():
    """Queries speak of much that no card is about: what thirty agents teach to overlook is overlooked for ten more."""
    rng = np.random.default_rng(1)
    cards = unit(rng.normal(size=(40, 16)))

    def asked(agents: np.ndarray) -> np.ndarray:
        chatter = np.zeros((len(agents), 16))
        chatter[:, :4] = rng.normal(size=(len(agents), 4))
        return unit(cards[agents] + chatter)

    who, newcomers = rng.integers(0, 30, 3_000), rng.integers(30, 40, 300)
    learned = towers.fit(cards, asked(who), who, np.ones(3_000, dtype=bool))
    queries = asked(newcomers)
    before = Towers.untrained(cards).logits(queries).argmax(axis=1) == newcomers
    after = learned.logits(queries).argmax(axis=1) == newcomers
    assert after.mean() > before.mean() + 0.05


def test_failures_push_an_agent_away():
    fleet = FleetOfWords()
    past = fleet.solved(100)
    _, agents = past.pairs
    vectors, tried = np.vstack([past.vectors, np.repeat(fleet.work[:1], 50, axis=0)]), np.append(agents, [3] * 50)
    solved = np.arange(150) < 100
    with_failures = towers.fit(fleet.cards.both, vectors, tried, solved)
    without = towers.fit(fleet.cards.both, vectors[:100], tried[:100], solved[:100])

    def chance(model: Towers) -> float:
        return float(towers.softmax(model.logits(fleet.work[:1]))[0, 3])

    assert chance(with_failures) < chance(without)

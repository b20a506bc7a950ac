"""The ways in which simple learners do harm: newcomers starve, and queries of another domain get worse.

The third, generalists followed on kinds of prompt that they never saw, is in test_routing_missing.
"""

import numpy as np
import pytest

from agents.matching.learning.cards import Cards, card_texts
from agents.matching.learning.model import MatchModel, train
from agents.matching.learning.solved import Solved
from tests.unit.agents.matching.learning.fleet_of_words import WIDTH, FleetOfWords, first_right, together, unit

SEEN, UNSEEN = tuple(range(8)), (8, 9, 10, 11)


@pytest.mark.parametrize("seed", [0, 1])
def test_agents_without_experience_keep_their_queries_beside_agents_with_much(seed: int):
    fleet = FleetOfWords(seed, honest=True)
    past, asked = fleet.solved(500, agents=SEEN, noise=0.7), fleet.solved(300, agents=UNSEEN, noise=0.7)
    before = first_right(MatchModel.untrained(fleet.cards).rank(asked.vectors, asked.texts), asked)
    after = first_right(train(fleet.cards, past, seed).rank(asked.vectors, asked.texts), asked)
    assert before > 0.7
    assert after > before - 0.15


def test_experience_of_one_domain_does_not_spoil_what_cards_say_of_another():
    fleet = FleetOfWords(2, honest=True)
    home = fleet.solved(400, agents=SEEN[:5], noise=0.7)
    abroad = fleet.solved(300, agents=(*SEEN[5:], *UNSEEN), noise=0.7)
    before = first_right(MatchModel.untrained(fleet.cards).rank(abroad.vectors, abroad.texts), abroad)
    after = first_right(train(fleet.cards, home).rank(abroad.vectors, abroad.texts), abroad)
    assert after > before - 0.15


def test_seen_agents_gain_all_the_same():
    fleet = FleetOfWords(1)
    asked = fleet.solved(300, agents=SEEN)
    before = first_right(MatchModel.untrained(fleet.cards).rank(asked.vectors, asked.texts), asked)
    after = first_right(train(fleet.cards, fleet.solved(500, agents=SEEN)).rank(asked.vectors, asked.texts), asked)
    assert after > before + 0.1


def test_strange_queries_in_the_experience_do_not_spoil_the_others():
    fleet = FleetOfWords()
    past, asked = fleet.solved(400), fleet.solved(300)
    alone = first_right(train(fleet.cards, past).rank(asked.vectors, asked.texts), asked)
    mixed = first_right(train(fleet.cards, together(past, fleet.strange(200))).rank(asked.vectors, asked.texts), asked)
    assert mixed > alone - 0.08


def test_agents_that_solved_one_query_each_keep_what_their_cards_find():
    """Left out of its own query, each is a newcomer there beside its tried likes: learned from that, the tried lose."""
    rng = np.random.default_rng(0)
    claims = unit(rng.normal(size=(200, WIDTH)))
    claims[1::2] = unit(claims[::2] + 0.5 * rng.normal(size=(100, WIDTH)) / np.sqrt(WIDTH))
    texts = [card_texts(f"skill{number}", f"does thing{number}") for number in range(200)]
    cards = Cards.of(texts, np.repeat(claims, 3, axis=0))

    def one_query_each(agents: int) -> Solved:
        vectors = unit(claims[:agents] + 0.5 * rng.normal(size=(agents, WIDTH)) / np.sqrt(WIDTH))
        return Solved(vectors, ("please do it",) * agents, tuple((one,) for one in range(agents)))

    model, asked = train(cards, one_query_each(120)), one_query_each(120)
    before = first_right(MatchModel.untrained(cards).rank(asked.vectors, asked.texts), asked)
    assert first_right(model.rank(asked.vectors, asked.texts), asked) > before - 0.1


def test_nan_and_infinity_never_come_out():
    fleet = FleetOfWords()
    model = train(fleet.cards, fleet.solved(100))
    ranked = model.rank(np.zeros((2, fleet.cards.both.shape[1]), dtype=np.float32), ("", "天気 🌧"))
    assert np.isfinite(ranked.chances).all()
    assert np.isfinite(ranked.nobody).all()

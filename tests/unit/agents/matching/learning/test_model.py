"""Matching gets better by experience, without harm to newcomers and without guessing when nobody fits."""

import numpy as np
import pytest

from agents.matching.evaluation import scores
from agents.matching.learning.model import MatchModel, train
from tests.unit.agents.matching.learning.fleet_of_words import FleetOfWords, first_right, together


def test_cards_decide_while_nothing_happened():
    fleet = FleetOfWords(honest=True)
    asked = fleet.solved(200)
    assert first_right(MatchModel.untrained(fleet.cards).rank(asked.vectors, asked.texts), asked) > 0.85


def test_too_little_experience_changes_nothing():
    fleet = FleetOfWords()
    asked = fleet.solved(50)
    few = train(fleet.cards, fleet.solved(5)).rank(asked.vectors, asked.texts)
    none = MatchModel.untrained(fleet.cards).rank(asked.vectors, asked.texts)
    assert np.array_equal(few.agents, none.agents)


def test_experience_corrects_cards_that_do_not_say_what_agents_do():
    fleet = FleetOfWords()
    asked = fleet.solved(300)
    before = first_right(MatchModel.untrained(fleet.cards).rank(asked.vectors, asked.texts), asked)
    after = first_right(train(fleet.cards, fleet.solved(600)).rank(asked.vectors, asked.texts), asked)
    assert after > before + 0.1
    assert after > 0.85


def test_more_experience_is_better():
    fleet = FleetOfWords(seed=3)
    asked, past = fleet.solved(400, noise=1.2), fleet.solved(1_500, noise=1.2)
    recalls = [
        first_right(train(fleet.cards, past.pick(np.arange(rows))).rank(asked.vectors, asked.texts), asked)
        for rows in (40, 1_500)
    ]
    assert recalls[1] > recalls[0]


def test_newcomers_are_found_by_their_cards_while_others_have_experience():
    fleet = FleetOfWords(honest=True)
    model = train(fleet.cards, fleet.solved(600, agents=tuple(range(9))))
    asked = fleet.solved(200, agents=(9, 10, 11))
    assert first_right(model.rank(asked.vectors, asked.texts), asked) > 0.6


def test_queries_that_nobody_serves_are_told_apart():
    fleet = FleetOfWords()
    model = train(fleet.cards, together(fleet.solved(500, noise=0.5), fleet.strange(100)))
    inside, outside = fleet.solved(200, noise=0.5), fleet.strange(200)
    nobody = [model.rank(asked.vectors, asked.texts).nobody for asked in (outside, inside)]
    assert scores.auroc(*nobody) > 0.9
    assert nobody[0].mean() > nobody[1].mean() + 0.3


def test_without_examples_of_them_agents_are_made_to_be_missing():
    fleet = FleetOfWords()
    model = train(fleet.cards, fleet.solved(500, noise=0.5))
    inside, outside = fleet.solved(200, noise=0.5), fleet.strange(200)
    nobody = [model.rank(asked.vectors, asked.texts).nobody for asked in (outside, inside)]
    assert scores.auroc(*nobody) > 0.9


def test_the_same_seed_gives_the_same_model():
    fleet = FleetOfWords()
    past, asked = fleet.solved(200), fleet.solved(20)
    first, second = (train(fleet.cards, past, seed=5).rank(asked.vectors, asked.texts) for _ in range(2))
    assert np.array_equal(first.agents, second.agents)
    assert np.array_equal(first.chances, second.chances)


def test_one_query_alone_is_ranked_as_among_many():
    fleet = FleetOfWords()
    model, asked = train(fleet.cards, fleet.solved(200)), fleet.solved(10)
    together_ranked = model.rank(asked.vectors, asked.texts)
    alone = model.rank(asked.vectors[3:4], asked.texts[3:4])
    assert np.array_equal(alone.agents[0], together_ranked.agents[3])
    assert alone.nobody[0] == pytest.approx(together_ranked.nobody[3], abs=1e-4)

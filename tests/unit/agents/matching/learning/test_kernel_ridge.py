"""What all past queries together say: in one solve, and of each query as if it had not been there."""

from dataclasses import replace

import numpy as np

from agents.matching.learning import kernel_ridge
from agents.matching.learning.kernel_ridge import KernelRidge
from agents.matching.learning.solved import Solved
from tests.unit.agents.matching.learning.fleet_of_words import TOPICS, FleetOfWords, together

AGENTS = len(TOPICS)


def hits(scores: np.ndarray, asked: Solved) -> float:
    return float(np.mean([best in right for best, right in zip(scores.argmax(axis=1), asked.solved_by, strict=True)]))


def test_leaving_a_query_out_is_what_learning_without_it_gives():
    solved = together(FleetOfWords(0).solved(60), FleetOfWords(0).strange(5))
    asked = np.array([3, 17, 62])
    learned, left_out = kernel_ridge.fit_and_leave_out(solved, AGENTS, asked)
    for row, scores in zip(asked, learned.spread(left_out), strict=True):
        rest = kernel_ridge.fit(solved.pick(np.delete(np.arange(len(solved)), row)), AGENTS)
        np.testing.assert_allclose(scores, rest.scores(solved.vectors[[row]], [solved.texts[row]])[0], atol=2e-3)


def test_it_knows_who_solved_queries_like_these():
    fleet = FleetOfWords(1)
    learned = kernel_ridge.fit(fleet.solved(600, noise=0.6), AGENTS)
    asked = fleet.solved(200, noise=0.6)
    assert hits(learned.scores(asked.vectors, asked.texts), asked) > 0.8


def test_how_a_thing_is_asked_counts_where_meaning_is_the_same():
    vectors = np.repeat(FleetOfWords(2).work[:1], 40, axis=0)
    texts = ("would you find it for me, please", "find it!!") * 20
    solved = Solved(vectors, texts, ((0,), (1,)) * 20)
    learned = kernel_ridge.fit(solved, AGENTS)
    scores = learned.scores(vectors[:2], ("would you look for it, please", "look!!"))
    assert scores.argmax(axis=1).tolist() == [0, 1]


def test_agents_without_experience_and_strange_queries_get_nothing():
    fleet = FleetOfWords(3, honest=True)
    learned = kernel_ridge.fit(together(fleet.solved(300, agents=(0, 1, 2)), fleet.strange(50)), AGENTS)
    asked = fleet.solved(50, agents=(0, 1, 2))
    scores = learned.scores(asked.vectors, asked.texts)
    assert not scores[:, 3:].any()
    strange = learned.scores(*(lambda some: (some.vectors, some.texts))(fleet.strange(50)))
    assert strange.max(axis=1).mean() < scores.max(axis=1).mean() / 2


def test_failures_are_asked_for_but_not_learned_from():
    fleet = FleetOfWords(4)
    solved = fleet.solved(40)
    failed = replace(solved, solved_by=(*solved.solved_by[:-1], ()), failed_by=((),) * 39 + ((0,),))
    learned, left_out = kernel_ridge.fit_and_leave_out(failed, AGENTS, np.array([39]))
    assert len(learned.vectors) == 39
    np.testing.assert_allclose(
        learned.spread(left_out), learned.scores(solved.vectors[39:], solved.texts[39:]), atol=1e-5
    )


def test_more_queries_than_memory_allows_are_drawn_from():
    learned, left_out = kernel_ridge.fit_and_leave_out(FleetOfWords(5).solved(90), AGENTS, np.arange(10), rows_max=30)
    assert len(learned.vectors) == 30
    assert left_out.shape == (10, len(learned.known))


def test_without_a_solved_query_everybody_gets_nothing():
    learned = kernel_ridge.fit(FleetOfWords(6).strange(30), AGENTS)
    assert not learned.scores(FleetOfWords(6).work, TOPICS).any()
    assert not KernelRidge.silent(AGENTS).scores(FleetOfWords(6).work, TOPICS).any()


def test_queries_without_a_word_are_compared_by_meaning():
    fleet = FleetOfWords(7)
    solved = fleet.solved(200, noise=0.5)
    learned = kernel_ridge.fit(replace(solved, texts=("",) * 200), AGENTS)
    assert hits(learned.scores(solved.vectors, ("",) * 200), solved) > 0.8

"""Each agent's boundary, over words and meaning."""

import numpy as np
from sklearn.svm import LinearSVC

from agents.matching.learning import boundaries
from tests.unit.agents.matching.learning.fleet_of_words import FleetOfWords, unit


def test_queries_fall_on_their_agents_side():
    fleet = FleetOfWords()
    past, asked = fleet.solved(600, noise=0.5), fleet.solved(100, noise=0.5)
    learned = boundaries.fit(past.vectors, past.texts, past.solved_by, 12)
    sides = learned.sides(asked.vectors, asked.texts)
    right = np.array([gold[0] for gold in asked.solved_by])
    assert (sides.argmax(axis=1) == right).mean() > 0.95


def test_it_finds_the_same_boundary_as_liblinear():
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(300, 10)))
    signs = np.where(vectors @ rng.normal(size=10) + 0.3 * rng.normal(size=300) > 0, 1, 0)
    ours = boundaries.fit(vectors, ("",) * 300, tuple((0,) if sign else (1,) for sign in signs), 2)
    theirs = LinearSVC(C=1 / (2 * boundaries.RIDGE) * 2, fit_intercept=False).fit(vectors * 1.5, signs)
    cosine = ours.weights[:, 0] @ theirs.coef_[0] / np.linalg.norm(ours.weights[:, 0]) / np.linalg.norm(theirs.coef_)
    assert cosine > 0.99


def test_words_decide_where_meaning_does_not():
    same = np.tile(unit(np.ones((1, 4))), (40, 1))
    texts = tuple(f"please book a {'flight' if row % 2 else 'table'}" for row in range(40))
    learned = boundaries.fit(same, texts, tuple((row % 2,) for row in range(40)), 3)
    sides = learned.sides(same[:2], ("a table for two", "my flight home"))
    assert sides.argmax(axis=1).tolist() == [0, 1]


def test_agents_with_little_evidence_have_none():
    fleet = FleetOfWords()
    past = fleet.solved(100, agents=(0, 1))
    solved_by = (*past.solved_by[:-1], (7,))
    sides = boundaries.fit(past.vectors, past.texts, solved_by, 12).sides(past.vectors, past.texts)
    assert not sides[:, 2:].any()


def test_nothing_solved_says_nothing():
    nothing = boundaries.fit(np.zeros((0, 4), dtype=np.float32), (), (), 5)
    assert not nothing.sides(unit(np.ones((2, 4))), ("a", "b")).any()

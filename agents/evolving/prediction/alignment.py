"""Which words of a past task speak for which of its agents, when nobody wrote down what each was asked.

A reader for ``passages``. Words are aligned to a task's agents, or to none of them, by expectation maximisation, as
words of two languages are in Brown et al. (1993, model 1): an agent's words are those that stand in many of its tasks
and are not better explained by the agents beside it. Neighbouring words mostly speak for the same agent.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from agents.evolving.prediction.readers import Learned, Texts
from agents.evolving.space import Bools, Floats, Ints

ROUNDS = 8
REACH_WORDS = 2.0
"""How far words agree on whom they speak for: standard deviation of the bell in words."""
PRIOR_WORDS = 100.0
"""Each agent is thought to have been asked so many words as anybody is asked them, before any is seen."""
NOBODY = 2.0
"""How much speaks for a word to be nobody's; an agent of whom it says nothing has 1."""
BOUNDS = (-1.0, 4.0)
"""Logarithms of how much likelier a word is for an agent than for anybody: rare words say no more than that."""


@dataclass(frozen=True, slots=True)
class _Words:
    """All terms of the tasks one after the other: term, (words, most agents of a task) whose they may be, closeness."""

    terms: Ints
    agents: Ints
    possible: Bools
    near: sparse.csr_matrix


def aligned(terms: Texts, counts: sparse.csr_matrix, targets: Floats) -> Learned:
    """(terms, agents): the logarithm of how much likelier a term is where this agent is asked."""
    size = (counts.shape[1], targets.shape[1])
    places = [_placed(terms, text) for text in terms.texts]
    sets = [np.flatnonzero(row) for row in targets]

    def learned(rows: Ints) -> Floats:
        words = _words([places[row] for row in rows], [sets[row] for row in rows])
        usual: Floats = np.bincount(words.terms, minlength=size[0]).astype(np.float64) + 1e-3
        usual /= usual.sum()
        whose = words.possible / (2.0 * np.maximum(words.possible.sum(axis=1, keepdims=True), 1))
        likelier = _likelier(words, whose, usual, size)
        for _ in range(ROUNDS - 1):
            likelier = _likelier(words, _whose(words, likelier), usual, size)
        return np.clip(likelier, *BOUNDS)

    return learned


def _placed(terms: Texts, text: str) -> tuple[Ints, Floats]:
    """Terms of a text, and the middle of the words of each."""
    found, _ = terms.found(text)
    middles = np.array([place + (size - 1) / 2.0 for _, place, size in found])
    return np.array([term for term, _, _ in found], dtype=np.intp), middles


def _words(places: list[tuple[Ints, Floats]], sets: list[Ints]) -> _Words:
    widest = max((len(agents) for agents in sets), default=1)
    agents = np.concatenate(
        [np.tile(_padded(own, widest), (len(at), 1)) for (at, _), own in zip(places, sets, strict=True)]
    )
    near = sparse.block_diag([_close(middles) for _, middles in places], format="csr")
    return _Words(np.concatenate([at for at, _ in places]), np.maximum(agents, 0), agents >= 0, near)


def _padded(agents: Ints, widest: int) -> Ints:
    return np.pad(agents, (0, widest - len(agents)), constant_values=-1)


def _close(middles: Floats) -> sparse.csr_matrix:
    close = np.exp(-(((middles[:, None] - middles) / REACH_WORDS) ** 2) / 2.0)
    return sparse.csr_matrix(np.where(close < 0.01, 0.0, close))


def _likelier(words: _Words, whose: Floats, usual: Floats, size: tuple[int, int]) -> Floats:
    """The second step: (terms, agents) from whose each word is."""
    places = (np.repeat(words.terms, whose.shape[1]), words.agents.ravel())
    asked = sparse.coo_matrix((whose.ravel(), places), shape=size).toarray()
    asked += PRIOR_WORDS * usual[:, None]
    likelier: Floats = np.log(asked / asked.sum(axis=0) / usual[:, None])
    return likelier


def _whose(words: _Words, likelier: Floats) -> Floats:
    """The first step: (words, agents of the task) how surely each word is whose."""
    said = np.where(words.possible, likelier[words.terms[:, None], words.agents], 0.0)
    odds = np.where(words.possible, np.exp(np.clip(words.near @ said, -30.0, 30.0)), 0.0)
    whose: Floats = odds / (odds.sum(axis=1, keepdims=True) + NOBODY)
    return whose

"""Which words of a past task speak for which of its agents, when nobody wrote down what each was asked.

A way to learn for ``readers``. Words are aligned to a task's agents, or to none of them, by expectation maximisation,
as words of two languages are in Brown et al. (1993, model 1): an agent's words are those that stand in many of its
tasks and are not better explained by the agents beside it. Neighbouring words mostly speak for the same agent.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from agents.evolving.prediction.readers import Texts, Weights
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
AGENTS_MAX = 16
"""A task of more agents is passed over: it says little of whom a word is for."""


@dataclass(frozen=True, slots=True)
class _Words:
    """All terms of the tasks one after the other: term, (words, most agents of a task) whose they may be, closeness.

    Each term meets few of all agents: ``met_terms`` and ``met_agents`` name those pairs once, ``meeting`` is the place
    among them of each (word, agent of its task).
    """

    terms: Ints
    possible: Bools
    near: sparse.csr_matrix
    met_terms: Ints
    met_agents: Ints
    meeting: Ints


@dataclass(frozen=True, slots=True)
class _Asked:
    """How often each agent was asked each term: at the pairs that met, by agent, and how usual the term is."""

    words: _Words
    met: Floats
    by_agent: Floats
    usual: Floats

    def likelier(self) -> Floats:
        """(pairs that met,): the logarithm of how much likelier the term is where this agent is asked."""
        usual = self.usual[self.words.met_terms]
        likelier: Floats = np.log((self.met + PRIOR_WORDS * usual) / self.by_agent[self.words.met_agents] / usual)
        return likelier

    def weights(self) -> Weights:
        """The same of any terms, for all agents, within BOUNDS."""
        places = (self.words.met_terms, self.words.met_agents)
        met = sparse.csr_matrix((self.met, places), shape=(len(self.usual), len(self.by_agent)))
        usual, by_agent = self.usual[:, None], self.by_agent

        def weights(terms: Ints) -> Floats:
            asked = met[terms].toarray()
            asked += PRIOR_WORDS * usual[terms]
            asked /= by_agent
            asked /= usual[terms]
            likelier: Floats = np.clip(np.log(asked, out=asked), *BOUNDS, out=asked)
            return likelier

        return weights


class Aligned:
    """Implements ``readers.Learner``. ``targets`` is (texts, agents) of 0 and 1."""

    def __init__(self, terms: Texts, counts: sparse.csr_matrix, targets: sparse.csr_matrix) -> None:
        self._size = (counts.shape[1], targets.shape[1])
        self._places = [_placed(terms, text) for text in terms.texts]
        self._sets = np.split(targets.indices, targets.indptr[1:-1])
        self._learned = list[Weights]()

    def learned(self, rows: Ints) -> Weights:
        """What these rows teach."""
        few = [row for row in rows.tolist() if len(self._sets[row]) <= AGENTS_MAX]
        words = _words([self._places[row] for row in few], [self._sets[row] for row in few], self._size[1])
        usual: Floats = np.bincount(words.terms, minlength=self._size[0]).astype(np.float64) + 1e-3
        usual /= usual.sum()
        whose = words.possible / (2.0 * np.maximum(words.possible.sum(axis=1, keepdims=True), 1))
        asked = self._asked(words, whose, usual)
        for _ in range(ROUNDS - 1):
            asked = self._asked(words, _whose(words, asked.likelier()), usual)
        self._learned.append(asked.weights())
        return self._learned[-1]

    def mean(self) -> Weights:
        """The mean of all that was learned."""

        def weights(terms: Ints) -> Floats:
            total = self._learned[0](terms)
            for learned in self._learned[1:]:
                total += learned(terms)
            return total / len(self._learned)

        return weights

    def _asked(self, words: _Words, whose: Floats, usual: Floats) -> _Asked:
        """The second step: how often each agent was asked each term, from whose each word is."""
        met: Floats = np.bincount(words.meeting.ravel(), whose.ravel(), minlength=len(words.met_terms)).astype(
            np.float64
        )
        by_agent = np.bincount(words.met_agents, met, minlength=self._size[1]) + PRIOR_WORDS * usual.sum()
        return _Asked(words, met, by_agent, usual)


def _placed(terms: Texts, text: str) -> tuple[Ints, Floats]:
    """Terms of a text, and the middle of the words of each."""
    found, _ = terms.found(text)
    middles = np.array([place + (size - 1) / 2.0 for _, place, size in found])
    return np.array([term for term, _, _ in found], dtype=np.intp), middles


def _words(places: list[tuple[Ints, Floats]], sets: list[Ints], agents: int) -> _Words:
    """The texts' words, and whose of the ``agents`` each may be."""
    none = np.zeros((0, 1), dtype=np.intp)
    widest = max((len(own) for own in sets), default=1)
    padded = [np.tile(_padded(own, widest), (len(at), 1)) for (at, _), own in zip(places, sets, strict=True)]
    whose = np.concatenate(padded) if padded else none
    terms = np.concatenate([*(at for at, _ in places), none[:, 0]])
    close = [_close(middles) for _, middles in places]
    near = sparse.block_diag(close, format="csr") if close else sparse.csr_matrix((0, 0))
    # Where nobody may be, the first agent is asked nothing.
    pairs, meeting = np.unique(terms[:, None] * agents + np.maximum(whose, 0), return_inverse=True)
    return _Words(terms, whose >= 0, near, *np.divmod(pairs, agents), meeting.reshape(whose.shape))


def _padded(agents: Ints, widest: int) -> Ints:
    return np.pad(agents.astype(np.intp), (0, widest - len(agents)), constant_values=-1)


def _close(middles: Floats) -> sparse.csr_matrix:
    close = np.exp(-(((middles[:, None] - middles) / REACH_WORDS) ** 2) / 2.0)
    return sparse.csr_matrix(np.where(close < 0.01, 0.0, close))


def _whose(words: _Words, likelier: Floats) -> Floats:
    """The first step: (words, agents of the task) how surely each word is whose."""
    said = np.where(words.possible, likelier[words.meeting], 0.0)
    odds = np.where(words.possible, np.exp(np.clip(words.near @ said, -30.0, 30.0)), 0.0)
    whose: Floats = odds / (odds.sum(axis=1, keepdims=True) + NOBODY)
    return whose

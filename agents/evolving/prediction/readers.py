"""Reads texts word by word: how strongly each passage speaks for each agent, and where. Called by ``passages``.

What a word says of an agent is learned in one of two ways: by ridge regression (``dual``), or by aligning the words of
past tasks to their agents (``alignment``). A reader learns once without each fold, reads that fold's tasks, and keeps
the mean of what it learned. Words times all agents are laid out for a few texts at a time, never for all.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from agents.evolving.space import Floats, Ints

REACH_WORDS = 3.2
"""A word speaks for its surroundings too: standard deviation of the bell in words."""
FEW = 50
WORDS_MAX = 1000
"""The work grows with the square: of longer texts the first words are read."""
AT_ONCE = 4_000_000
"""So many terms times agents are laid out together."""
READ, PLACE, MIDDLE = 8, 2, 6
"""What a reader says of an agent: at its clearest passage, by all words, where that passage is (0 first, 1 last), by
how much it leads the other agents there, the share of words that speak for it most, its share of what is said; from
MIDDLE on, the middle of all passages that speak for it, clearer ones counting more: in words, and as a share."""
NOTHING = (0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5)
"""Read where no word is known."""


class Texts:
    """Texts as words and pairs of words. ``counts`` is (texts, terms) by tf-idf, float32; None without any term."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts
        self._terms = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2 if len(texts) > FEW else 1)
        self._split = self._terms.build_tokenizer()
        try:
            self.counts: sparse.csr_matrix | None = self._terms.fit_transform(texts).astype(np.float32)
        except ValueError:  # no words at all
            self.counts = None

    def rarity(self) -> Floats:
        """(terms,): the weight of each term for its rarity."""
        rarity: Floats = self._terms.idf_
        return rarity

    def found(self, text: str) -> tuple[list[tuple[int, int, int]], int]:
        """Known terms as (term, place of its first word, words), and how many words are read."""
        words, known = self._split(text.lower())[:WORDS_MAX], self._terms.vocabulary_
        spans = [(place, size) for place in range(len(words)) for size in (1, 2) if place + size <= len(words)]
        terms = [(known.get(" ".join(words[place : place + size])), place, size) for place, size in spans]
        return [(term, place, size) for term, place, size in terms if term is not None], len(words)


Weights = Callable[[Ints], Floats]
"""Of terms, (terms, agents): how strongly each term speaks for each agent."""


class Learner(Protocol):
    """Learns what terms say of agents, from some of its texts at a time."""

    def learned(self, rows: Ints) -> Weights:
        """What these rows teach."""
        ...

    def mean(self) -> Weights:
        """The mean of all that was ``learned``, which is at least once. Asked last."""
        ...


Method = Callable[[Texts, sparse.csr_matrix, sparse.csr_matrix], Learner]
"""Of texts, their counts and their targets."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Texts to read, each without its fold, and of which agents each is asked."""

    texts: Sequence[str]
    folds: Ints
    agents: Sequence[Ints]


class Reader:
    """Learns at construction, once without each fold. ``targets`` is (texts, agents) of 0 and 1.

    ``past`` is what was ``asked`` on the way: for each text (its agents, READ), by the model trained without its fold.
    """

    def __init__(
        self, texts: Sequence[str], targets: sparse.csr_matrix, folds: Ints, method: Method, asked: Asked
    ) -> None:
        self._agents = targets.shape[1]
        self._terms = Texts(texts)
        self._weights: Weights | None = None
        self.past = [_nothing(agents) for agents in asked.agents]
        if self._terms.counts is None:
            return
        learner = method(self._terms, self._terms.counts, targets)
        left_out = np.unique(folds)
        for fold in left_out.tolist():
            self._answer(asked, asked.folds == fold, learner.learned(np.flatnonzero(folds != fold)))
        # The mean of the folds' models, not one of all: it speaks as loudly as those that the second stages learn from.
        self._weights = learner.mean()
        # A fold in which nobody had a step left nothing out.
        self._answer(asked, ~np.isin(asked.folds, left_out), self._weights)

    def read(self, texts: Sequence[str], agents: Sequence[Ints]) -> list[Floats]:
        """For each text (its agents, READ), by all models together."""
        if self._weights is None:
            return [_nothing(of_text) for of_text in agents]
        return self._read(texts, agents, self._weights)

    def _answer(self, asked: Asked, these: "np.ndarray[tuple[int], np.dtype[np.bool_]]", weights: Weights) -> None:
        rows = np.flatnonzero(these).tolist()
        read = self._read([asked.texts[row] for row in rows], [asked.agents[row] for row in rows], weights)
        for row, of_text in zip(rows, read, strict=True):
            self.past[row] = of_text

    def _read(self, texts: Sequence[str], agents: Sequence[Ints], weights: Weights) -> list[Floats]:
        read = list[Floats]()
        for block in self._blocks(texts):
            terms = np.unique(np.array([term for found, _ in block for term, _, _ in found], dtype=np.intp))
            known = weights(terms)
            place = {term: row for row, term in enumerate(terms.tolist())}
            these = agents[len(read) : len(read) + len(block)]
            read += [self._of_text(*text, place, known)[own] for text, own in zip(block, these, strict=True)]
        return read

    def _blocks(self, texts: Sequence[str]) -> Iterator[list["_Found"]]:
        """As many texts at a time as have few enough different terms together, but one at least."""
        block, terms = list[_Found](), set[int]()
        for text in texts:
            found = self._terms.found(text)
            more = terms.union(term for term, _, _ in found[0])
            if block and len(more) * self._agents > AT_ONCE:
                yield block
                block, more = [], {term for term, _, _ in found[0]}
            block.append(found)
            terms = more
        if block:
            yield block

    def _of_text(self, found: list[tuple[int, int, int]], words: int, place: dict[int, int], known: Floats) -> Floats:
        """(agents, READ)."""
        said = np.zeros((words, self._agents))
        for term, at, size in found:
            said[at : at + size] += known[place[term]] / size
        if not said.any():
            return np.tile(NOTHING, (self._agents, 1))
        places = np.arange(words)
        around = np.exp(-(((places[:, None] - places) / REACH_WORDS) ** 2) / 2.0) @ said
        return spoken(around, said.sum(axis=0) / np.sqrt(words))


_Found = tuple[list[tuple[int, int, int]], int]


def _nothing(agents: Ints) -> Floats:
    return np.tile(NOTHING, (len(agents), 1))


def spoken(around: Floats, whole: Floats) -> Floats:
    """(agents, READ) of what is said around each word, (words, agents), and by all words, (agents,)."""
    words, agents = around.shape
    places, clearest = around.argmax(axis=0), around.max(axis=0)
    leaders, first = around.argmax(axis=1), around.max(axis=1)
    second = np.partition(around, -2, axis=1)[:, -2] if agents > 1 else np.zeros(words)
    rival = np.where(leaders[places] == np.arange(agents), second[places], first[places])
    spread = max(float(around.std()), 1e-6)
    odds = np.exp((around - first[:, None]) / spread)
    share = (odds / odds.sum(axis=1, keepdims=True)).mean(axis=0)
    led = np.bincount(leaders, minlength=agents) / words
    clear = np.exp((around - clearest) / spread)
    middle = np.arange(words) @ clear / clear.sum(axis=0)
    return np.stack([clearest, whole, places / words, clearest - rival, led, share, middle, middle / words], axis=-1)

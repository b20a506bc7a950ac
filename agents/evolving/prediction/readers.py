"""Reads texts word by word: how strongly each passage speaks for each agent, and where. Called by ``passages``.

What a word says of an agent is learned in one of two ways: by ridge regression (here), or by aligning the words of past
tasks to their agents (``alignment``). A reader keeps one model for each fold left out.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import linalg, sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from agents.evolving.space import Floats, Ints

REACH_WORDS = 3.2
"""A word speaks for its surroundings too: standard deviation of the bell in words."""
PENALTY = 1.0
FEW = 50
ALL = -1
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
        """Known terms as (term, place of its first word, words), and how many words the text has."""
        words, known = self._split(text.lower()), self._terms.vocabulary_
        spans = [(place, size) for place in range(len(words)) for size in (1, 2) if place + size <= len(words)]
        terms = [(known.get(" ".join(words[place : place + size])), place, size) for place, size in spans]
        return [(term, place, size) for term, place, size in terms if term is not None], len(words)


Learned = Callable[[Ints], Floats]
"""From the rows to learn from, (terms, agents): how strongly each term speaks for each agent."""
Learner = Callable[[Texts, sparse.csr_matrix, Floats], Learned]
"""Of texts, their counts and their targets."""


class Reader:
    """Learns at construction, once without each fold. ``targets`` is (texts, agents) of 0 and 1."""

    def __init__(self, texts: Sequence[str], targets: Floats, folds: Ints, learner: Learner) -> None:
        self._agents = targets.shape[1]
        self._terms = Texts(texts)
        self._weights = dict[int, Floats]()
        if self._terms.counts is None:
            return
        learned = learner(self._terms, self._terms.counts, targets)
        for fold in np.unique(folds).tolist():
            self._weights[fold] = learned(np.flatnonzero(folds != fold))
        # The mean of the folds' models, not one of all: it speaks as loudly as those that the second stages learn from.
        self._weights[ALL] = np.mean(list(self._weights.values()), axis=0)

    def read(self, texts: Sequence[str], folds: Ints | None) -> Floats:
        """(texts, agents, READ), each text by the model trained without its fold; None: by all models together."""
        if not len(self._weights):
            return np.tile(NOTHING, (len(texts), self._agents, 1))
        without = np.full(len(texts), ALL) if folds is None else folds
        # A fold in which nobody had a step left nothing out.
        weights = [self._weights.get(int(fold), self._weights[ALL]) for fold in without]
        return np.stack([self._of_text(text, known) for text, known in zip(texts, weights, strict=True)])

    def _of_text(self, text: str, weights: Floats) -> Floats:
        """(agents, READ)."""
        found, words = self._terms.found(text)
        said = np.zeros((words, self._agents))
        for term, place, size in found:
            said[place : place + size] += weights[term] / size
        if not said.any():
            return np.tile(NOTHING, (self._agents, 1))
        places = np.arange(words)
        around = np.exp(-(((places[:, None] - places) / REACH_WORDS) ** 2) / 2.0) @ said
        return spoken(around, said.sum(axis=0) / np.sqrt(words))


def regressed(terms: Texts, counts: sparse.csr_matrix, targets: Floats) -> Learned:
    """Ridge regression in its dual form, with the terms' rarity in the weights."""
    rarity = terms.rarity()[:, None].astype(np.float32)
    kernel = (counts @ counts.T).toarray()

    def learned(rows: Ints) -> Floats:
        held = kernel[np.ix_(rows, rows)]
        held[np.diag_indices(len(rows))] += PENALTY
        dual = linalg.solve(held, targets[rows].astype(np.float32), assume_a="pos", overwrite_a=True)
        weights: Floats = (counts[rows].T @ dual) * rarity
        return weights

    return learned


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

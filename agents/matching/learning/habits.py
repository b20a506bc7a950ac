"""What each agent's solved queries are like on the whole, its card counting as some of them. Called by ``features``.

In meaning: a normal distribution an agent, one covariance for all (linear discriminant analysis, Fisher 1936, with the
covariance shrunk to a sphere as by Friedman 1989). Where it would lie without evidence is learned too, as a linear map
from cards to the centres of agents with evidence, so newcomers have a centre. In words: the direction of the weighted
words of card and queries together (Rocchio 1971). Both see an agent as one, which the nearest past queries do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from agents.words import stems

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

CARD_COUNTS_AS = 3.0
"""Solved queries that the centre expected from the card is worth."""
CARD_WORDS_COUNT_AS = 1.0
SETTLED_FROM = 3
"""Solved queries from which on an agent's centre helps to learn where cards' centres lie."""
SPHERE_MIN = 0.1
WORDS_MAX = 30_000


@dataclass(frozen=True, slots=True, eq=False)
class Habits:
    """``weights`` (d, agents) and ``bias`` (agents,) of meaning; ``words`` (vocabulary, agents) unit columns."""

    weights: Floats
    bias: Floats
    vocabulary: TfidfVectorizer | None
    words: sparse.csr_matrix

    def meaning(self, vectors: Floats) -> Floats:
        """(queries, agents) float32: log density of each query under each agent, up to a constant of the query."""
        logits: Floats = vectors @ self.weights
        logits += self.bias
        return logits

    def in_words(self, texts: Sequence[str]) -> Floats:
        """(queries, agents) float32: cosine of weighted words, 0-1."""
        if self.vocabulary is None:
            return np.zeros((len(texts), len(self.bias)), dtype=np.float32)
        cosines: Floats = (self.vocabulary.transform(texts) @ self.words).toarray().astype(np.float32)
        return cosines


def fit(
    places: Floats, card_texts: Sequence[str], vectors: Floats, texts: Sequence[str], pairs: tuple[Rows, Rows]
) -> Habits:
    """``places`` (agents, d) unit-norm cards; ``vectors`` (rows, d) past queries; ``pairs``: which row who solved."""
    rows, agents = pairs
    belongs = sparse.csr_matrix((np.ones(len(rows), dtype=np.float32), (agents, rows)), (len(places), len(vectors)))
    weights, bias = _normal(places, vectors[rows], agents, belongs @ vectors)
    vocabulary, words = _words(card_texts, texts, belongs)
    return Habits(weights, bias, vocabulary, words)


def _normal(places: Floats, solved: Floats, agents: Rows, sums: Floats) -> tuple[Floats, Floats]:
    counts = np.bincount(agents, minlength=len(places)).astype(np.float32)[:, None]
    middle = solved.mean(axis=0) if len(solved) else np.zeros(places.shape[1], dtype=np.float32)
    expected = middle + _from_cards(places, counts, sums, middle)
    centres = (sums + CARD_COUNTS_AS * expected) / (counts + CARD_COUNTS_AS)
    apart = solved - centres[agents]
    width = places.shape[1]
    spread = apart.T @ apart / max(len(apart), 1)
    sphere = max(SPHERE_MIN, width / (width + len(apart)))
    size = max(float(np.trace(spread)) / width, 1e-4)
    weights = np.linalg.solve((1 - sphere) * spread + sphere * size * np.eye(width), centres.T.astype(np.float64))
    bias = -0.5 * np.einsum("ad,da->a", centres, weights)
    return weights.astype(np.float32), bias.astype(np.float32)


def _from_cards(places: Floats, counts: Floats, sums: Floats, middle: Floats) -> Floats:
    """(agents, d): how far from the middle each agent's centre is expected to lie, by ridge regression on cards."""
    settled = np.flatnonzero(counts[:, 0] >= SETTLED_FROM)
    cards = places - places.mean(axis=0)
    centres = sums[settled] / np.maximum(counts[settled], 1.0) - middle
    inner = cards[settled].T @ cards[settled] + np.eye(cards.shape[1], dtype=np.float32)
    expected: Floats = cards @ np.linalg.solve(inner, cards[settled].T @ centres)
    return expected


def _words(
    card_texts: Sequence[str], texts: Sequence[str], belongs: sparse.csr_matrix
) -> tuple[TfidfVectorizer | None, sparse.csr_matrix]:
    vocabulary = TfidfVectorizer(analyzer=stems, sublinear_tf=True, dtype=np.float32, max_features=WORDS_MAX)
    try:
        vocabulary.fit([*card_texts, *texts])
    except ValueError:  # not one word anywhere
        return None, sparse.csr_matrix((0, len(card_texts)), dtype=np.float32)
    every = belongs @ vocabulary.transform(texts) if len(texts) else 0
    every = every + CARD_WORDS_COUNT_AS * vocabulary.transform(card_texts)
    lengths = np.sqrt(np.asarray(every.multiply(every).sum(axis=1))).ravel()
    unit = sparse.diags(1.0 / np.maximum(lengths, 1e-9)).astype(np.float32) @ every
    return vocabulary, unit.T.tocsr()

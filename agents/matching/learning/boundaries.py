"""Where each agent's queries end: one linear boundary an agent, over words and meaning. Called by ``features``.

A support vector machine with squared hinge, in the primal by Newton's method with conjugate gradients (Keerthi and
DeCoste 2005), for all agents at once as matrix products: the same figures as one liblinear machine an agent, in a
tenth of the time. It is the sharpest voice when there is much evidence, and says nothing of newcomers.
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

MEANING_SHARE = 1.5
"""Length of a query's vector beside its words, which have length 1."""
RIDGE = 1.0
NEWTON_STEPS = 5
GRADIENT_STEPS = 8
LENGTHS = (0.0, 0.25, 0.5, 1.0)
RARE_FROM_ROWS = 1_000
WORDS_MAX = 20_000
AGENTS_AT_ONCE = 256
SOLVED_MIN = 3
"""An agent that solved fewer queries has no boundary yet: the nearest of them say as much."""


@dataclass(frozen=True, slots=True, eq=False)
class Space:
    """Queries as (queries, words) sparse beside (queries, d) dense, as if they were one matrix."""

    words: sparse.csr_matrix
    meaning: Floats

    @classmethod
    def of(cls, vocabulary: TfidfVectorizer | None, vectors: Floats, texts: Sequence[str]) -> "Space":
        """Of queries with their vectors."""
        none = sparse.csr_matrix((len(texts), 0), dtype=np.float32)
        return cls(none if vocabulary is None else vocabulary.transform(texts).tocsr(), vectors * MEANING_SHARE)

    @property
    def shape(self) -> tuple[int, int]:
        """(queries, columns)."""
        return self.meaning.shape[0], self.words.shape[1] + self.meaning.shape[1]

    def times(self, weights: Floats) -> Floats:
        """(queries, n) of (columns, n)."""
        split = self.words.shape[1]
        product: Floats = self.meaning @ weights[split:]
        product += self.words @ weights[:split]
        return product

    def back(self, rows: Floats) -> Floats:
        """(columns, n) of (queries, n): the product with the transpose."""
        return np.vstack([self.words.T @ rows, self.meaning.T @ rows])


@dataclass(frozen=True, slots=True, eq=False)
class Boundaries:
    """``weights`` (columns, known agents) float32; ``known`` their rows in the catalogue of so many ``agents``."""

    vocabulary: TfidfVectorizer | None
    weights: Floats
    known: Rows
    agents: int

    def sides(self, vectors: Floats, texts: Sequence[str]) -> Floats:
        """(queries, agents) float32: 0 outside the agent's boundary or without one, 1 on it, 2 well inside."""
        sides = np.zeros((len(texts), self.agents), dtype=np.float32)
        if len(self.known):
            inside = Space.of(self.vocabulary, vectors, texts).times(self.weights)
            sides[:, self.known] = np.maximum(inside + 1.0, 0.0)
        return sides


def fit(vectors: Floats, texts: Sequence[str], solved_by: Sequence[Sequence[int]], agents: int) -> Boundaries:
    """From past queries and for each the agents that solved it (none: nobody could)."""
    solvers, counts = np.unique([one for right in solved_by for one in right], return_counts=True)
    known = solvers[counts >= SOLVED_MIN].astype(np.int64)
    if not len(known):
        return Boundaries(None, np.zeros((0, 0), dtype=np.float32), known, agents)
    vocabulary = vocabulary_of(texts)
    space = Space.of(vocabulary, vectors, texts)
    signs = np.full((len(texts), len(known)), -1.0, dtype=np.float32)
    for row, right in enumerate(solved_by):
        signs[row, np.isin(known, right)] = 1.0
    blocks = [signs[:, start : start + AGENTS_AT_ONCE] for start in range(0, len(known), AGENTS_AT_ONCE)]
    return Boundaries(vocabulary, np.hstack([_weights(space, block) for block in blocks]), known, agents)


def vocabulary_of(texts: Sequence[str]) -> TfidfVectorizer | None:
    """The words of these texts; None when there are none."""
    vocabulary = TfidfVectorizer(
        analyzer=stems,
        sublinear_tf=True,
        dtype=np.float32,
        min_df=2 if len(texts) > RARE_FROM_ROWS else 1,
        max_features=WORDS_MAX,
    )
    try:
        return vocabulary.fit(texts)
    except ValueError:  # not one word among all queries
        return None


def _weights(space: Space, signs: Floats) -> Floats:
    """(columns, agents) that separate +1 from -1 in each column of ``signs``."""
    weights = np.zeros((space.shape[1], signs.shape[1]), dtype=np.float32)
    reached = np.zeros_like(signs)
    for _ in range(NEWTON_STEPS):
        near = (signs * reached < 1.0).astype(np.float32)
        downhill = space.back(near * (signs - reached)) - np.float32(RIDGE) * weights
        direction = conjugate(space, near, downhill, ridge=RIDGE, steps=GRADIENT_STEPS)
        ahead = space.times(direction)
        length = _best_length(signs, reached, ahead, weights, direction)
        weights += length * direction
        reached += length * ahead
    return weights


def conjugate(space: Space, near: Floats, downhill: Floats, *, ridge: float, steps: int) -> Floats:
    """About (XᵀDX + ridge)⁻¹ downhill, where D (rows, n) keeps some rows of X in each column, after so many steps."""
    found = np.zeros_like(downhill)
    residual, direction = downhill, downhill.copy()
    squared = np.square(residual).sum(axis=0)
    for _ in range(steps):
        curved = space.back(near * space.times(direction)) + np.float32(ridge) * direction
        length = squared / np.maximum((direction * curved).sum(axis=0), 1e-12)
        found += length * direction
        residual = residual - length * curved
        before, squared = squared, np.square(residual).sum(axis=0)
        direction = residual + (squared / np.maximum(before, 1e-12)) * direction
    return found


def _best_length(signs: Floats, reached: Floats, ahead: Floats, weights: Floats, direction: Floats) -> Floats:
    """For each agent how far to go, of ``LENGTHS``: the loss is not quadratic where rows enter the margin."""
    losses = [
        np.square(np.maximum(1.0 - signs * (reached + length * ahead), 0.0)).sum(axis=0)
        + RIDGE * np.square(weights + length * direction).sum(axis=0)
        for length in LENGTHS
    ]
    chosen: Floats = np.asarray(LENGTHS, dtype=np.float32)[np.argmin(losses, axis=0)]
    return chosen

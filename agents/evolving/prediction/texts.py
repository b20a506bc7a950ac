"""How alike tasks are, by meaning and by words: kernels and neighbours for ``members`` and ``handovers``."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from agents.evolving.space import Floats
from tensor_layer.ports import Vector

SHARPNESS = 2.0
"""How fast likeness falls with distance in the radial kernel."""


@dataclass(frozen=True, slots=True)
class Tasks:
    """Tasks as words and as vectors, (tasks, dimension) float32, rows unit-norm."""

    texts: tuple[str, ...]
    vectors: Vector

    def __len__(self) -> int:
        return len(self.texts)

    def only(self, rows: Sequence[int]) -> "Tasks":
        """Those tasks, in that order."""
        return Tasks(tuple(self.texts[row] for row in rows), self.vectors[np.asarray(rows, dtype=np.intp)])


class Likeness:
    """Compares tasks with the past tasks it was made from."""

    def __init__(self, past: Tasks) -> None:
        self._vectors = past.vectors
        self._words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2 if len(past) > 50 else 1)
        try:
            self._counts = self._words.fit_transform(past.texts)
        except ValueError:  # no words in common, or none at all
            self._counts = None
        self.past = self.of(past)

    def of(self, tasks: Tasks) -> "Alike":
        """How alike the tasks are to each past one."""
        meaning = (tasks.vectors @ self._vectors.T).astype(np.float64)
        if self._counts is None:
            return Alike(meaning, np.zeros_like(meaning))
        words: sparse.csr_matrix = self._words.transform(tasks.texts)
        return Alike(meaning, (words @ self._counts.T).toarray())


@dataclass(frozen=True, slots=True)
class Alike:
    """(tasks, past tasks) each: cosine of meaning, and cosine of words."""

    meaning: Floats
    words: Floats

    def radial(self) -> Floats:
        """Both as one positive definite kernel."""
        kernel: Floats = np.exp(-SHARPNESS * (1.0 - self.meaning)) + np.exp(-SHARPNESS * (1.0 - self.words))
        return kernel

    def blend(self) -> Floats:
        """Both as one similarity, for neighbours."""
        return self.meaning + self.words

    def without_self(self) -> "Alike":
        """Of past tasks among themselves: nobody is its own neighbour."""
        meaning, words = self.meaning.copy(), self.words.copy()
        np.fill_diagonal(meaning, -1.0)
        np.fill_diagonal(words, -1.0)
        return Alike(meaning, words)


def neighbours(similarity: Floats, count: int) -> tuple["np.ndarray[tuple[int, int], np.dtype[np.intp]]", Floats]:
    """(tasks, count): the nearest past tasks and their weights, which fall with the fourth power and sum to 1."""
    count = min(count, similarity.shape[1])
    nearest = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
    weights = np.maximum(np.take_along_axis(similarity, nearest, axis=1), 0.0) ** 4
    return nearest, weights / (weights.sum(axis=1, keepdims=True) + 1e-9)


def voted(similarity: Floats, count: int, members: Floats) -> Floats:
    """(tasks, agents): the share of the nearest past tasks, by weight, that had the agent."""
    nearest, weights = neighbours(similarity, count)
    votes: Floats = np.einsum("tn,tna->ta", weights, members[nearest])
    return votes

"""How alike tasks are, by meaning and by words: kernels and neighbours for ``members`` and ``handovers``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from agents.evolving.prediction.blocks import blocks
from agents.evolving.space import Floats
from tensor_layer.ports import Vector

SHARPNESS = 2.0
"""How fast likeness falls with distance in the radial kernels."""
FEW = 50
"""Of so few past tasks also the words that only one of them has are looked at."""
REACH = 25
"""So many words on, one word is still seen to stand before another."""
LITTLE_SAID = re.compile(
    r"the|to|of|and|my|me|for|is|in|on|at|it|that|this|with|be|by|please|need|want|would|like|help|from|as|also|can|an|"
    r"are|you|was|your|which|will|have"
)
"""Passed over where the order of words counts; words that order (then, first, before) are not among them."""
WORD = re.compile(r"(?u)\b\w\w+\b")


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
        common = 2 if len(past) > FEW else 1
        self._readings = [
            Reading(past.texts, TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=common)),
            Reading(past.texts, TfidfVectorizer(analyzer=in_sequence, sublinear_tf=True, min_df=common + common // 2)),
            Reading(past.texts, TfidfVectorizer(analyzer=by_thirds, sublinear_tf=True, min_df=common)),
            Reading(
                past.texts,
                TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=common),
            ),
        ]

    def of(self, tasks: Tasks) -> "Alike":
        """How alike the tasks are to each past one."""
        meaning: Vector = tasks.vectors @ self._vectors.T
        return Alike(meaning, *(reading.of(tasks.texts) for reading in self._readings))


class Reading:
    """Cosine of texts to past ones under one way to read them."""

    def __init__(self, past: Sequence[str], terms: TfidfVectorizer) -> None:
        self._terms, self._past = terms, len(past)
        try:
            self._counts = terms.fit_transform(past)
        except ValueError:  # no terms in common, or none at all
            self._counts = None

    def of(self, texts: Sequence[str]) -> Vector:
        """(texts, past texts)."""
        cosine: Vector = np.zeros((len(texts), self._past), dtype=np.float32)
        if self._counts is None:
            return cosine
        counts: sparse.csr_matrix = self._terms.transform(texts)
        for rows in blocks(*cosine.shape):
            cosine[rows] = (counts[rows] @ self._counts.T).toarray()
        return cosine


def in_sequence(text: str) -> list[str]:
    """Words, and which word stands before which: what is asked first is mostly done first."""
    words = [word for word in WORD.findall(text.lower()) if not (word.isdigit() or LITTLE_SAID.fullmatch(word))]
    ahead = [f"{one}<{other}" for place, one in enumerate(words) for other in words[place + 1 : place + REACH]]
    return words + ahead


def by_thirds(text: str) -> list[str]:
    """Words, each with the third of the text it stands in."""
    words = WORD.findall(text.lower())
    return [f"{3 * place // len(words)}_{word}" for place, word in enumerate(words)]


@dataclass(frozen=True, slots=True)
class Alike:
    """(tasks, past tasks) float32 each: cosines of meaning, words, sequence of words, place of words, and letters."""

    meaning: Vector
    words: Vector
    sequence: Vector
    thirds: Vector
    letters: Vector

    def kernel(self, name: str) -> Vector:
        """A positive definite kernel; ``regressions.PENALTIES`` has the names."""
        if name == "meaning":
            return _radial(self.meaning)
        if name not in ("radial", "all"):
            plain: Vector = getattr(self, name)
            return plain
        kernel = _radial(self.meaning) + _radial(self.words)
        if name == "all":
            for cosine in (self.sequence, self.thirds, self.letters):
                kernel += _radial(cosine)
        return kernel

    def blend(self, sequence: float = 0.0) -> Vector:
        """Meaning and words as one similarity, for neighbours; sequence with the given weight."""
        return self.meaning + self.words + sequence * self.sequence

    def alone(self, rows: slice) -> "Alike":
        """Those past tasks, compared with all: nobody is its own neighbour."""
        return Alike(*(_alone(cosine, rows) for cosine in self._all()))

    def _all(self) -> tuple[Vector, ...]:
        return self.meaning, self.words, self.sequence, self.thirds, self.letters


def _radial(cosine: Vector) -> Vector:
    kernel: Vector = np.exp(-SHARPNESS * (1.0 - cosine))
    return kernel


def _alone(cosine: Vector, rows: slice) -> Vector:
    alone = cosine[rows].copy()
    own = np.arange(len(cosine))[rows]
    alone[np.arange(len(own)), own] = -1.0
    return alone


def neighbours(similarity: Vector, count: int) -> tuple["np.ndarray[tuple[int, int], np.dtype[np.intp]]", Floats]:
    """(tasks, count): the nearest past tasks and their weights, which fall with the fourth power and sum to 1."""
    count = min(count, similarity.shape[1])
    nearest = np.argpartition(-similarity, count - 1, axis=1)[:, :count]
    weights = np.maximum(np.take_along_axis(similarity, nearest, axis=1), 0.0).astype(np.float64) ** 4
    return nearest, weights / (weights.sum(axis=1, keepdims=True) + 1e-9)


def voted(similarity: Vector, count: int, members: sparse.csr_matrix) -> Floats:
    """(tasks, agents): the share of the nearest past tasks, by weight, that had the agent."""
    nearest, weights = neighbours(similarity, count)
    ends = np.arange(len(nearest) + 1) * nearest.shape[1]
    asked = sparse.csr_matrix((weights.ravel(), nearest.ravel(), ends), shape=similarity.shape)
    votes: Floats = (asked @ members).toarray()
    return votes

"""How alike tasks are, by meaning and by words: kernels and neighbours for ``members`` and ``handovers``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

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
        self.past = self.of(past)

    def of(self, tasks: Tasks) -> "Alike":
        """How alike the tasks are to each past one."""
        meaning = (tasks.vectors @ self._vectors.T).astype(np.float64)
        return Alike(meaning, *(reading.of(tasks.texts) for reading in self._readings))


class Reading:
    """Cosine of texts to past ones under one way to read them."""

    def __init__(self, past: Sequence[str], terms: TfidfVectorizer) -> None:
        self._terms, self._past = terms, len(past)
        try:
            self._counts = terms.fit_transform(past)
        except ValueError:  # no terms in common, or none at all
            self._counts = None

    def of(self, texts: Sequence[str]) -> Floats:
        """(texts, past texts)."""
        if self._counts is None:
            return np.zeros((len(texts), self._past))
        counts: sparse.csr_matrix = self._terms.transform(texts)
        cosine: Floats = (counts @ self._counts.T).toarray()
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
    """(tasks, past tasks) each: cosines of meaning, words, sequence of words, place of words, and letters."""

    meaning: Floats
    words: Floats
    sequence: Floats
    thirds: Floats
    letters: Floats

    def kernels(self) -> dict[str, Floats]:
        """Positive definite kernels by name."""
        meaning, words = _radial(self.meaning), _radial(self.words)
        both = meaning + words
        others = _radial(self.sequence) + _radial(self.thirds) + _radial(self.letters)
        return {
            "radial": both,
            "words": self.words,
            "meaning": meaning,
            "sequence": self.sequence,
            "thirds": self.thirds,
            "letters": self.letters,
            "all": both + others,
        }

    def blend(self, sequence: float = 0.0) -> Floats:
        """Meaning and words as one similarity, for neighbours; sequence with the given weight."""
        return self.meaning + self.words + sequence * self.sequence

    def without_self(self) -> "Alike":
        """Of past tasks among themselves: nobody is its own neighbour."""
        return Alike(*map(_alone, (self.meaning, self.words, self.sequence, self.thirds, self.letters)))


def _radial(cosine: Floats) -> Floats:
    kernel: Floats = np.exp(-SHARPNESS * (1.0 - cosine))
    return kernel


def _alone(cosine: Floats) -> Floats:
    alone = cosine.copy()
    np.fill_diagonal(alone, -1.0)
    return alone


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

"""What agents claim, as arrays: their cards' vectors and words. Built by the evaluation; asked by ``features``."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.matching.learning.lexical import LexicalIndex

Floats = NDArray[np.float32]

LEXICAL_SHARE = 0.3
"""How much a standard deviation of words counts against one of meaning, before anything is learned. Between 0.2 and 0.4
no set that we have changes by more than two points; a ranker trained on solved queries finds its own weights."""


def card_texts(name: str, description: str) -> tuple[str, str, str]:
    """The three texts whose vectors speak for an agent: name, description (or name), and both."""
    return name, description or name, f"{name}: {description}" if description else name


@dataclass(frozen=True, slots=True, eq=False)
class Cards:
    """``names``, ``descriptions``, ``both`` are (agents, d) float32 unit-norm; ``words`` indexes their ``texts``."""

    names: Floats
    descriptions: Floats
    both: Floats
    texts: tuple[str, ...]
    words: LexicalIndex

    @classmethod
    def of(cls, texts: Sequence[tuple[str, str, str]], vectors: Floats) -> "Cards":
        """From ``card_texts`` of each agent and (3 * agents, d) vectors in the same order, agent by agent."""
        by_view = vectors.reshape(len(texts), 3, -1)
        names, descriptions, both = (np.ascontiguousarray(by_view[:, view]) for view in range(3))
        joined = tuple(text for _, _, text in texts)
        return cls(names, descriptions, both, joined, LexicalIndex(joined))

    def only(self, rows: NDArray[np.int64]) -> "Cards":
        """A smaller catalogue."""
        texts = tuple(self.texts[row] for row in rows)
        return Cards(self.names[rows], self.descriptions[rows], self.both[rows], texts, LexicalIndex(texts))

    def __len__(self) -> int:
        return len(self.both)

    def nearness(self, vectors: Floats, queries: Sequence[str]) -> "Nearness":
        """How near queries are to every card. ``vectors`` (queries, d) unit-norm."""
        return Nearness(
            vectors @ self.names.T, vectors @ self.descriptions.T, vectors @ self.both.T, self.words.scores(queries)
        )


@dataclass(frozen=True, slots=True, eq=False)
class Nearness:
    """(queries, agents) float32 each: three cosines, and the share of the query's words that the card has."""

    name: Floats
    description: Floats
    both: Floats
    words: Floats

    @property
    def dense(self) -> Floats:
        """The best of the three cosines: one good claim is enough."""
        return np.maximum(np.maximum(self.name, self.description), self.both)

    def blended(self, share: float = LEXICAL_SHARE) -> Floats:
        """The order without any experience: both scores in standard deviations over the agents, for each query.

        This is what decides the weight by query: words that single out one agent lie many deviations above the rest,
        words that everybody has lie near all.
        """
        return standardised(self.dense) + share * standardised(self.words)


def standardised(scores: Floats) -> Floats:
    """Each row with mean 0 and deviation 1 (all 0 when the row is constant)."""
    centred = scores - scores.mean(axis=1, keepdims=True)
    deviation = centred.std(axis=1, keepdims=True)
    scaled: Floats = np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 1e-6)
    return scaled

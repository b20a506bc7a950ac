"""The lexical side of a skill: its words as a sparse vector, weighed as BM25 does. Called by both index adapters.

Qdrant multiplies by the inverse document frequency when it searches (``modifier: idf``), so a stored value holds the
rest of BM25: how often the word occurs, saturated, against the length of the text (Robertson and Zaragoza 2009). The
dimension of a word is its CRC-32: no vocabulary to share between workers, and two of 100,000 words collide about once.
"""

import math
import zlib
from collections import Counter

from agents.words import stems

SATURATION = 1.2
LENGTH_WEIGHT = 0.75
USUAL_WORDS = 24
"""A fixed length to compare with: the true mean changes with every card, and stored values would have to follow."""

Sparse = tuple[list[int], list[float]]


def sparse_text(text: str) -> Sparse:
    """Dimensions, ascending, and values of a stored text; empty when it has no word."""
    counts = Counter(stems(text))
    norm = SATURATION * (1 - LENGTH_WEIGHT + LENGTH_WEIGHT * sum(counts.values()) / USUAL_WORDS)
    values = {_dimension(word): n * (SATURATION + 1) / (n + norm) for word, n in counts.items()}
    return sorted(values), [values[dimension] for dimension in sorted(values)]


def sparse_query(text: str) -> Sparse:
    """Dimensions, ascending, and ones: each word of a question counts once."""
    dimensions = sorted({_dimension(word) for word in stems(text)})
    return dimensions, [1.0] * len(dimensions)


def lexical_share(score: float, words: int, points: int) -> float:
    """BM25 over what as many words would give, each as rare as can be among ``points``: 0 to 1.

    So a long conversational question that shares one plain word with a skill scores near nothing, and a short one made
    of a skill's own rare words scores near 1, in small fleets and in large ones.
    """
    rarest = math.log1p((max(points, 1) - 0.5) / 1.5)
    return min(1.0, max(0.0, score / (rarest * max(words, 1))))


def _dimension(word: str) -> int:
    return zlib.crc32(word.encode())

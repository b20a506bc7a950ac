"""Words in common: BM25 between queries and cards as one sparse product. Called by ``cards``.

Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009). ``agents.words`` cuts the texts.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from agents.words import stems

Floats = NDArray[np.float32]

SATURATION = 1.2
LENGTH_WEIGHT = 0.75


class LexicalIndex:
    """BM25 over a fixed set of texts. ``scores`` are shares of the query's own weight: they compare between queries."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._vocabulary = CountVectorizer(analyzer=stems, dtype=np.float32)
        try:
            counts = self._vocabulary.fit_transform(texts).tocoo()
        except ValueError:  # no text has a single word
            counts = sparse.coo_matrix((len(texts), 0), dtype=np.float32)
        self.words = counts.shape[1]
        lengths = np.asarray(counts.sum(axis=1)).ravel()
        found_in = np.bincount(counts.col, minlength=self.words)
        self._weights = np.log1p((len(texts) - found_in + 0.5) / (found_in + 0.5)).astype(np.float32)
        norm = SATURATION * (1 - LENGTH_WEIGHT + LENGTH_WEIGHT * lengths / max(float(lengths.mean()), 1e-9))
        data = counts.data * (SATURATION + 1) / (counts.data + norm[counts.row]) * self._weights[counts.col]
        self._by_word = sparse.csr_matrix((data, (counts.col, counts.row)), shape=(self.words, len(texts)))

    def scores(self, queries: Sequence[str]) -> Floats:
        """(len(queries), len(texts)) float32: 0 for no word in common; about 1 when a short text holds every word."""
        asked = self._asked(queries)
        if asked is None:
            return np.zeros((len(queries), self._by_word.shape[1]), dtype=np.float32)
        possible = np.asarray(asked @ self._weights).ravel()
        matched: Floats = (asked @ self._by_word).toarray()
        shares: Floats = matched / np.maximum(possible, 1e-6)[:, None]
        return shares

    def _asked(self, queries: Sequence[str]) -> sparse.csr_matrix | None:
        """(len(queries), words): 1 for each word of a query that some text has."""
        if not self.words:
            return None
        asked = self._vocabulary.transform(queries)
        asked.data[:] = 1.0
        return asked

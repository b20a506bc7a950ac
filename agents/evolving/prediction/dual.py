"""Ridge regression from the words of a text to its agents. Called by ``readers`` through ``passages``.

In its dual form: kept are weights of texts, of which those of terms are made when they are asked for. Terms times
agents would be many times as much.
"""

import numpy as np
from scipy import linalg, sparse

from agents.evolving.prediction.readers import Texts, Weights
from agents.evolving.space import Floats, Ints
from tensor_layer.ports import Vector

PENALTY = 1.0
STRIP = 500
"""So many rows are worked on at a time, where a copy of all would be hundreds of megabytes."""


class Regressed:
    """Implements ``readers.Learner``. ``targets`` is (texts, agents) of 0 and 1."""

    def __init__(self, terms: Texts, counts: sparse.csr_matrix, targets: sparse.csr_matrix) -> None:
        self._rarity = terms.rarity()[:, None].astype(np.float32)
        self._counts, self._targets = counts, targets.astype(np.float32)
        self._total = np.zeros(targets.shape, dtype=np.float32)
        self._times = 0

    def learned(self, rows: Ints) -> Weights:
        """What these rows teach."""
        counts = self._counts[rows]
        held = _kernel(counts)
        held[np.diag_indices(len(rows))] += PENALTY
        # The kernel is symmetric: its transpose is itself in the order that LAPACK works on in place.
        factor = linalg.cho_factor(held.T, overwrite_a=True, check_finite=False)
        targets = self._targets[rows].toarray(order="F")
        solved = linalg.cho_solve(factor, targets, overwrite_b=True, check_finite=False)
        del held, factor, targets  # each is as large as the answer
        dual = np.ascontiguousarray(solved)
        for start in range(0, len(rows), STRIP):
            self._total[rows[start : start + STRIP]] += dual[start : start + STRIP]
        self._times += 1
        return _weights(counts, dual, self._rarity)

    def mean(self) -> Weights:
        """The mean of all that was learned."""
        self._total /= self._times
        return _weights(self._counts, self._total, self._rarity)


def _kernel(counts: sparse.csr_matrix) -> Floats:
    """(texts, texts) float32: what texts share."""
    kernel = np.empty((counts.shape[0],) * 2, dtype=np.float32)
    turned = counts.T.tocsr()
    for start in range(0, len(kernel), STRIP):
        kernel[start : start + STRIP] = (counts[start : start + STRIP] @ turned).toarray()
    return kernel


def _weights(counts: sparse.csr_matrix, dual: Vector, rarity: Vector) -> Weights:
    """``dual`` is (texts, agents)."""
    turned = counts.T.tocsr()

    def weights(terms: Ints) -> Floats:
        said: Floats = (turned[terms] @ dual) * rarity[terms]
        return said

    return weights

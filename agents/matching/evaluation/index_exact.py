"""Exact search over the made-up skills, for all questions and filters at once. Called by ``index_bench`` to compare."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tensor_layer.ports import Vector

Rows = NDArray[np.int64]

CHUNK = 20_000
"""Skills compared at once with every question: 500 questions take 40 MB."""


def nearest(vectors: Vector, questions: Vector, allowed: Sequence[NDArray[np.bool_]], limit: int) -> list[Rows]:
    """For each filter, ``(questions, limit)`` numbers of the nearest skills it allows, in no order.

    ``allowed`` are filters as ``(skills,)`` truth values; one that allows fewer than ``limit`` has fewer columns.
    """
    best = [_Best(questions, min(limit, int(mask.sum()))) for mask in allowed]
    for start in range(0, len(vectors), CHUNK):
        scores = questions @ vectors[start : start + CHUNK].T
        for one, mask in zip(best, allowed, strict=True):
            columns = np.flatnonzero(mask[start : start + CHUNK])
            one.see(scores[:, columns], columns + start)
    return [one.rows for one in best]


class _Best:
    """The best so far of each question."""

    def __init__(self, questions: Vector, limit: int) -> None:
        self._limit = limit
        self._scores = np.full((len(questions), 0), -np.inf, dtype=np.float32)
        self.rows: Rows = np.zeros((len(questions), 0), dtype=np.int64)

    def see(self, scores: Vector, rows: Rows) -> None:
        """More candidates: ``(questions, candidates)`` cosines, and ``(candidates,)`` numbers of theirs."""
        near = _largest(scores, self._limit)
        both = np.hstack([self._scores, np.take_along_axis(scores, near, axis=1)])
        known = np.hstack([self.rows, rows[near]])
        kept = _largest(both, self._limit)
        self._scores = np.take_along_axis(both, kept, axis=1)
        self.rows = np.take_along_axis(known, kept, axis=1)


def _largest(scores: Vector, limit: int) -> NDArray[np.intp]:
    """The columns of each row's ``limit`` largest values, or all."""
    if scores.shape[1] <= limit:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return np.argpartition(-scores, limit - 1, axis=1)[:, :limit]

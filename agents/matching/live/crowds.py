"""Which past steps are least missed when memory is full: those with the most later ones like them. Called by ``past``.

An agent's step counts e-fold less with every few later steps of that agent at tasks like it, so where there are
hundreds of these the early ones say nothing any more. Dropping the oldest steps instead would let a flood of common
tasks wash away all that is known of rare ones. Likeness is told by random hyperplanes (SimHash, Charikar 2002): tasks
on the same side of all of them lie in one cell.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

PLANES = 12
"""Tasks with a cosine of 0.97 lie in one cell in 40 % of cases, with 0.4 in 0.4 %; the same words always do."""


class Cells:
    """Numbers of cells, the same for the same vectors in every process."""

    def __init__(self, dimension: int) -> None:
        self._planes = np.random.default_rng(0).normal(size=(dimension, PLANES)).astype(np.float32)

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.int16]:
        """(tasks, dimension) to (tasks,)."""
        sides = vectors @ self._planes > 0.0
        cells: NDArray[np.int16] = (sides @ (1 << np.arange(PLANES))).astype(np.int16)
        return cells


def least_missed(agents: NDArray[np.int32], cells: NDArray[np.int16], latest: int, dropped: int) -> NDArray[np.int64]:
    """The rows that stay, rising, when ``dropped`` go, none of them of the ``latest``. (rows,) in order of time."""
    crowd = agents.astype(np.int64) * (1 << PLANES) + cells
    older = max(0, len(agents) - latest)
    # Most followed first; of those followed as often, the oldest first.
    order = np.argsort(-_followers(crowd)[:older], kind="stable")
    stays = np.ones(len(agents), dtype=bool)
    stays[order[:dropped]] = False
    return np.flatnonzero(stays)


def _followers(crowd: NDArray[Any]) -> NDArray[np.int64]:
    """(rows,) how many later rows are of the same crowd."""
    order = np.argsort(crowd, kind="stable")
    lasts = np.append(np.flatnonzero(np.diff(crowd[order])), len(crowd) - 1)
    lengths = np.diff(np.append(-1, lasts))
    followers = np.empty(len(crowd), dtype=np.int64)
    followers[order] = np.repeat(lasts, lengths) - np.arange(len(crowd))
    return followers

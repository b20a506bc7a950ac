"""Rows taken agent by agent, without a loop: what came later of the same agent. Made and kept by ``past``."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Runs:
    """Of rows in the order in which they happened; ``who`` (rows,) did them."""

    def __init__(self, who: NDArray[np.int32]) -> None:
        self.who = who
        self._order = np.argsort(who, kind="stable")
        self._lasts = np.append(np.flatnonzero(np.diff(who[self._order])), len(who) - 1)
        self._lengths = np.diff(np.append(-1, self._lasts))

    def later(self, weights: Floats) -> Floats:
        """(rows,) the sum of the ``weights`` of all later rows of the same agent. At least one row."""
        sums = np.cumsum(weights[self._order])
        later = np.empty(len(weights), dtype=np.float32)
        later[self._order] = np.repeat(sums[self._lasts], self._lengths) - sums
        return later

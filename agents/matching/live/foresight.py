"""Cosines of tasks that are soon asked about, made at once: a long past is read once for all. Used by ``past``."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LEAST_TOGETHER = 8
"""Of fewer, BLAS makes vector products: these read the past once for each, and may differ in the last bit."""


class Foresight:
    """How near some tasks lie to each row. Good for as long as the past grows by the very rows it was made with."""

    def __init__(self, asked: Floats, rows: Floats) -> None:
        """``asked`` (tasks, dimension); ``rows`` (rows, dimension): the past, and after it what will be added to it."""
        self._places: dict[bytes, int] = {}
        different = [self._is_new(vector.tobytes()) for vector in asked]
        self._cosines = _cosines(asked[different], rows)

    def cosines(self, vector: Floats, count: int) -> Floats | None:
        """(count,) to the first so many rows; None for a task, or for rows, that were not expected."""
        place = self._places.get(vector.tobytes())
        return None if place is None or count > self._cosines.shape[1] else self._cosines[place, :count]

    def _is_new(self, vector: bytes) -> bool:
        place = len(self._places)
        return self._places.setdefault(vector, place) == place


def _cosines(asked: Floats, rows: Floats) -> Floats:
    missing = max(0, LEAST_TOGETHER - len(asked))
    cosines: Floats = (np.pad(asked, ((0, missing), (0, 0))) @ rows.T)[: len(asked)]
    return cosines

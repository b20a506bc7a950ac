"""Recall@1 of vectors against a gallery of texts: the figure that towers are measured by."""

import numpy as np
from numpy.typing import NDArray

from tensor_layer.ports import Vector


def recall_at_1(vectors: Vector, gallery: Vector, right: NDArray[np.int64]) -> float:
    """Per cent of the unit rows of ``vectors`` whose nearest unit row of ``gallery`` is number ``right``."""
    nearest = (vectors @ gallery.T).argmax(axis=1)
    return round(100 * float((nearest == right).mean()), 2)

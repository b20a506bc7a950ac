"""The locked text space that towers are trained into: the shipped sentence encoder's. Called by training only."""

import numpy as np

from schemas.percept import EncoderVersion
from tensor_layer.encoding.minilm import MiniLm
from tensor_layer.ports import Vector

BATCH = 64


class TextSpace:
    """all-MiniLM-L6-v2 as the tensor layer serves it. Never trained: pictures and sounds move towards it."""

    def __init__(self, threads: int) -> None:
        self._model = MiniLm.packaged(threads=threads)

    @property
    def version(self) -> EncoderVersion:
        """Which weights make the space."""
        return self._model.version

    def vectors(self, texts: list[str]) -> Vector:
        """(len(texts), dimension) float32, rows unit-norm. Raises EncoderUnavailable."""
        batches = [self._model.encode(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
        return np.concatenate(batches)

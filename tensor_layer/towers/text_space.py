"""The locked text space that towers are trained into: the shipped sentence encoder's. Called by training only."""

import hashlib
from pathlib import Path

import numpy as np

from schemas.percept import EncoderVersion
from tensor_layer.encoding.minilm import MiniLm
from tensor_layer.ports import Vector

BATCH = 64


class TextSpace:
    """all-MiniLM-L6-v2 as the tensor layer serves it. Never trained: pictures and sounds move towards it.

    Vectors are kept in ``cache``, so that who resumes a training does not wait for them again.
    """

    def __init__(self, threads: int, cache: Path) -> None:
        self._model = MiniLm.packaged(threads=threads)
        self._cache = cache

    @property
    def version(self) -> EncoderVersion:
        """Which weights make the space."""
        return self._model.version

    def vectors(self, texts: list[str]) -> Vector:
        """(len(texts), dimension) float32, rows unit-norm. Raises EncoderUnavailable, OSError."""
        said = "\n".join([self.version.name, self.version.version, *texts])
        file = self._cache / f"texts-{hashlib.blake2b(said.encode(), digest_size=8).hexdigest()}.npy"
        if not file.exists():
            batches = [self._model.encode(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH)]
            self._cache.mkdir(parents=True, exist_ok=True)
            unfinished = file.with_suffix(".part.npy")
            np.save(unfinished, np.concatenate(batches))
            unfinished.replace(file)
        vectors: Vector = np.load(file)
        return vectors

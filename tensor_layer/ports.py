"""What the tensor layer needs from outside, and what it offers to `agents` and `gateway`."""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from schemas.parts import BlobRef, Modality, Part
from schemas.percept import EncoderVersion, Percept

Vector = NDArray[np.float32]


class Blobs(Protocol):
    """Content-addressed bytes. Safe for concurrent use; a blob is either wholly there or not there."""

    async def put(self, chunks: AsyncIterable[bytes], limit_bytes: int) -> BlobRef:
        """Store a stream without holding it in memory. Idempotent. Raises BlobTooLarge, BlobStoreUnavailable."""
        ...

    async def put_bytes(self, content: bytes) -> BlobRef:
        """Store bytes that are already in memory."""
        ...

    async def get(self, ref: BlobRef) -> bytes:
        """The whole content, for small blobs. Raises BlobNotFound, BlobStoreUnavailable."""
        ...

    def stream(self, ref: BlobRef) -> AsyncIterator[bytes]:
        """The content in chunks of at most 8 MiB. Raises BlobNotFound before the first chunk."""
        ...

    async def exists(self, ref: BlobRef) -> bool:
        """Whether the content is there."""
        ...

    async def local_path(self, ref: BlobRef) -> Path:
        """A readable local file with the content (downloaded once when the store is remote)."""
        ...


class TextEncoder(Protocol):
    """Turns texts into comparable vectors. Safe for concurrent use; never blocks the event loop."""

    @property
    def version(self) -> EncoderVersion:
        """Which weights make the vectors."""
        ...

    async def encode(self, texts: Sequence[str]) -> Vector:
        """(len(texts), dimension) float32, rows unit-norm. Raises EncoderUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Perceived:
    """A percept with the task vector, (dimension,) float32 unit-norm, or None when nothing could be encoded.

    ``parts`` are the task's parts with modality and media type filled in from their content.
    """

    percept: Percept
    vector: Vector | None
    parts: tuple[Part, ...]


class Perceiver(Protocol):
    """Looks at parts. The one thing `agents` needs of this layer when a task arrives."""

    async def perceive(self, parts: Sequence[Part]) -> Perceived:
        """Type, measure and encode all parts. Raises UnreadablePart, BlobNotFound."""
        ...

    async def encode_texts(self, texts: Sequence[str]) -> Vector:
        """(len(texts), dimension) float32, rows unit-norm: for skills, goals and search words."""
        ...

    @property
    def text_version(self) -> EncoderVersion:
        """Which encoder makes the vectors of ``encode_texts``."""
        ...


MODALITIES_WITH_ENCODER: frozenset[Modality] = frozenset({Modality.TEXT})
"""Until the image and audio towers come, only text has an encoder; a percept says which vectors it lacks."""

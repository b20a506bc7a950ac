"""What the tensor layer needs from outside, and what it offers to `agents` and `gateway`."""

from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from schemas.parts import BlobRef, Modality, Part
from schemas.percept import EncoderVersion, Percept

if TYPE_CHECKING:
    from PIL import Image

Vector = NDArray[np.float32]

Picture: TypeAlias = "Image.Image"
"""Decoded, upright, mode RGB. ``np.asarray(picture)`` is (height, width, 3) uint8."""

Sound = NDArray[np.float32]
"""Decoded, (samples,) float32, finite, mono at SAMPLE_RATE_HZ, full scale is 1.0, at least one sample."""

SAMPLE_RATE_HZ = 16_000

Content = TypeVar("Content")
Content_contra = TypeVar("Content_contra", contravariant=True)


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

    async def keep(self, ref: BlobRef) -> bool:
        """Whether it is there; if so, nobody removes it for as long as if it were stored now."""
        ...

    async def local_path(self, ref: BlobRef) -> Path:
        """A readable local file with the content (downloaded once when the store is remote)."""
        ...


@dataclass(frozen=True, slots=True)
class EncoderCard:
    """What an encoder says of itself.

    ``space`` names the space its vectors live in. Encoders of one space were trained to agree, so that a picture may be
    compared with a text; unset, the vectors compare only with those of the same version. ``dtype`` is what the
    forward pass computes in, ``device`` is torch's word (``cpu``, ``cuda:0``), ``licence`` an SPDX name or ``unknown``.
    """

    version: EncoderVersion
    modality: Modality
    dtype: str
    device: str
    licence: str
    space: str | None = None


class Model(Protocol[Content_contra]):
    """A model that blocks: decoded contents in, vectors out. ``encode`` is called by one thread at a time, unless the
    model is ``Reentrant`` too.

    Nothing heavy happens before the first ``encode``: constructing one imports no torch and reads no weights.
    """

    @property
    def card(self) -> EncoderCard:
        """Which weights make the vectors, and where. Known before anything is loaded, true afterwards too."""
        ...

    def tokens_of(self, content: Content_contra) -> int:
        """About how many tokens a forward pass spends on this content. Cheap; called on the event loop."""
        ...

    def encode(self, contents: Sequence[Content_contra]) -> Vector:
        """(len(contents), dimension) float32, rows unit-norm. Raises EncoderUnavailable, DeviceFull."""
        ...


@runtime_checkable
class Reentrant(Protocol):
    """A ``Model`` that says so may be in ``encode`` in several threads at once."""

    reentrant: Literal[True]


@runtime_checkable
class Discerning(Protocol[Content_contra]):
    """A ``Model`` that says how near a content is to what it was trained on."""

    def encode_discerning(self, contents: Sequence[Content_contra]) -> Vector:
        """(len(contents), dimension + 1) float32: unit rows, then the familiarity of each. That is the share of what it
        was trained for that lies as far out as this content, between 0 and 1; NaN when it cannot be told.
        """
        ...


class Encoder(Protocol[Content_contra]):
    """Turns contents into comparable vectors. Safe for concurrent use; never blocks the event loop."""

    @property
    def version(self) -> EncoderVersion:
        """Which weights make the vectors."""
        ...

    async def encode(self, contents: Sequence[Content_contra], /) -> Vector:
        """(len(contents), dimension) float32, rows unit-norm. Raises EncoderUnavailable, DeviceFull."""
        ...


class TextEncoder(Encoder[str], Protocol):
    """Words to vectors: what `agents` matches with."""


class PartEncoder(Protocol):
    """Turns parts of one modality, inline or by reference, into vectors. Safe for concurrent use in one event loop."""

    @property
    def card(self) -> EncoderCard:
        """Which weights make the vectors, and in which space they live."""
        ...

    async def encode(self, parts: Sequence[Part]) -> Vector:
        """(len(parts), dimension) float32, rows unit-norm.

        Raises UnreadablePart, BlobNotFound, BlobStoreUnavailable, EncoderUnavailable, DeviceFull.
        """
        ...


@dataclass(frozen=True, slots=True)
class Discerned:
    """A part's vector, (dimension,) float32 unit-norm, and how familiar it is to its encoder: None when unknown."""

    vector: Vector
    familiarity: float | None


@runtime_checkable
class DiscerningPartEncoder(Protocol):
    """A ``PartEncoder`` that passes on what its model knows of its own limits."""

    async def discern(self, parts: Sequence[Part]) -> Sequence[Discerned]:
        """What ``encode`` gives, and raises, with the familiarity of each part."""
        ...


@dataclass(frozen=True, slots=True)
class ModalityToken:
    """One vector of a task for fusion: (dimension,) float32 unit-norm in the task space, from ``modality``.

    ``weight`` is how much it counts when no weights were learned (see ``perception``).
    """

    modality: Modality
    vector: Vector
    weight: float


@dataclass(frozen=True, slots=True)
class Fused:
    """A task vector, (dimension,) float32 unit-norm read-only, and what each token counted: non-negative, sum 1."""

    vector: Vector
    weights: tuple[float, ...]


class Fusion(Protocol):
    """Makes one task vector of the vectors of a task's parts. Pure and quick: called on the event loop."""

    @property
    def version(self) -> str:
        """Which learned weights these are; it goes into the percept. ``mean`` without any."""
        ...

    def fuse(self, tokens: Sequence[ModalityToken]) -> Fused:
        """Fuse one or more tokens of one task; any modality may be missing."""
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
"""What every process encodes. A percept lacks the vectors of other modalities until ``perception`` has made them."""

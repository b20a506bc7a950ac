"""What the tensor layer saw in a task: a typed, measured description of each part and the vectors it has."""

from typing import Any

from pydantic import Field

from schemas.base import Message
from schemas.parts import Modality


class EncoderVersion(Message):
    """Which encoder made a vector. Vectors of different versions are never compared."""

    name: str
    version: str
    dimension: int = Field(gt=0)


class PartPercept(Message):
    """One part, looked at: what it really is, what was measured, and which vectors it lacks."""

    index: int = Field(ge=0)
    modality: Modality
    media_type: str
    digest: str
    size_bytes: int = Field(ge=0)
    facts: dict[str, Any] = Field(default_factory=dict, description="measured: width_px, duration_s, pages, rows …")
    encoded_by: EncoderVersion | None = None
    lacks: tuple[str, ...] = Field(default=(), description="vectors that no encoder could make, such as 'image'")


class Percept(Message):
    """A task, perceived. The vector itself is (dimension,) float32, unit norm, and travels beside, not inside."""

    parts: tuple[PartPercept, ...]
    modalities: tuple[Modality, ...]
    encoder: EncoderVersion | None = None
    fusion: str = Field(default="mean", description="which weights fused the vectors; 'mean' is the weighted mean")
    weights: dict[str, float] = Field(
        default_factory=dict, description="how much each source counted in the task vector; they sum to 1"
    )
    cached: bool = False

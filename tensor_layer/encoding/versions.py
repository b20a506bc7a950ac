"""Which vectors may be compared. Asked wherever two vectors of different origin meet."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from schemas.percept import EncoderVersion
from tensor_layer.errors import VersionMismatch
from tensor_layer.ports import EncoderCard, Vector


def space_of(version: EncoderVersion) -> str:
    """The name of the space which an encoder's vectors span; encoders that were aligned to it carry the same name.

    The number format is no part of it: rounded products point the same way (cosine 0.99998).
    """
    return f"{version.name}@{version.version.removesuffix('-bfloat16')}"


def space_of_card(card: EncoderCard) -> str:
    """The space a card's vectors live in: the one it was aligned to, or its own."""
    return card.space or space_of(card.version)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Vectors with their origin: ``rows`` is (count, dimension) float32, unit-norm; ``space`` says what they fit."""

    rows: Vector
    version: EncoderVersion
    space: str

    def similarities(self, others: "Encoded") -> NDArray[np.float32]:
        """(len(self.rows), len(others.rows)) float32, cosines. Raises VersionMismatch unless both share a space."""
        require_same_space(self, others)
        cosines: NDArray[np.float32] = self.rows @ others.rows.T
        return cosines


def require_same_space(one: Encoded, other: Encoded) -> None:
    """Raises VersionMismatch unless the vectors may be compared."""
    if one.space != other.space or one.rows.shape[-1] != other.rows.shape[-1]:
        raise VersionMismatch(
            f"vectors of {space_of(one.version)} (space {one.space}, {one.rows.shape[-1]} numbers) cannot be compared "
            f"with those of {space_of(other.version)} (space {other.space}, {other.rows.shape[-1]} numbers): "
            "encode both with one encoder"
        )

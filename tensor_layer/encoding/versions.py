"""Which vectors may be compared. Asked wherever two vectors of different origin meet."""

from schemas.percept import EncoderVersion
from tensor_layer.ports import EncoderCard


def space_of(version: EncoderVersion) -> str:
    """The name of the space which an encoder's vectors span; encoders that were aligned to it carry the same name.

    The number format is no part of it: rounded products point the same way (cosine 0.99998).
    """
    return f"{version.name}@{version.version.removesuffix('-bfloat16')}"


def space_of_card(card: EncoderCard) -> str:
    """The space a card's vectors live in: the one it was aligned to, or its own."""
    return card.space or space_of(card.version)

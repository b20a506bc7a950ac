"""Lossy forms of float chunks, only where the caller allows them, each with the error bound it keeps.

bf16 rounds to nearest even: relative error at most 2**-8 for normal numbers of float32; NaN and Inf stay what they are,
and no number becomes one: beyond the largest of bf16 (where masks hold float32's least) it is that largest.
int8 scales each block of 4,096 values by its largest magnitude: absolute error at most max|x| / 254 of that block (and
float32 rounding of the product, covered by the factor below); chunks with NaN, Inf or subnormal scale refuse it.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tensor_layer.errors import TensorDamaged

Lossy = Literal["bf16", "int8"]
Floats = NDArray[np.float32]

BF16_RELATIVE = 2.0**-8
INT8_OF_BLOCK_MAX = 1.0001 / 254
BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Bound:
    """How far a decoded value may be off: ``relative`` of itself, or ``of_block_max`` of its block's largest."""

    relative: float = 0.0
    of_block_max: float = 0.0


BOUNDS: dict[Lossy, Bound] = {"bf16": Bound(relative=BF16_RELATIVE), "int8": Bound(of_block_max=INT8_OF_BLOCK_MAX)}


def to_bf16(values: Floats) -> NDArray[np.uint16]:
    """(n,) float32 to (n,) bfloat16 words, rounded to nearest even; NaN stays NaN, and what is finite stays finite."""
    words = values.view(np.uint32)
    rounded = words + (((words >> np.uint32(16)) & np.uint32(1)) + np.uint32(0x7FFF))
    out = (rounded >> np.uint32(16)).astype(np.uint16)
    magnitude = words & np.uint32(0x7FFFFFFF)
    over = (magnitude >= np.uint32(0x7F7F8000)) & (magnitude < np.uint32(0x7F800000))
    if over.any():
        out[over] -= np.uint16(1)  # from infinity back to the largest of its sign
    nan = magnitude > np.uint32(0x7F800000)
    if nan.any():  # adding could carry a NaN into infinity or past the sign
        out[nan] = ((words[nan] >> np.uint32(16)) | np.uint32(0x40)).astype(np.uint16)
    return out


def from_bf16(words: NDArray[np.uint16]) -> Floats:
    """(n,) bfloat16 words to (n,) float32, exactly."""
    return (words.astype(np.uint32) << np.uint32(16)).view(np.float32)


def to_int8(values: Floats) -> tuple[NDArray[np.float32], NDArray[np.int8]] | None:
    """(n,) float32 to one scale per block of 4,096 and (n,) int8; None when the bound cannot be kept."""
    padded = np.zeros(-(-values.size // BLOCK) * BLOCK, np.float32)
    padded[: values.size] = values
    blocks = padded.reshape(-1, BLOCK)
    largest = np.abs(blocks).max(axis=1)
    if not np.isfinite(largest).all() or ((largest > 0) & (largest < np.float32(1e-30))).any():
        return None
    scales = np.where(largest > 0, largest / np.float32(127), np.float32(1)).astype(np.float32)
    levels = np.rint(blocks / scales[:, None])
    return scales, np.clip(levels, -127, 127).astype(np.int8).reshape(-1)[: values.size]


def from_int8(scales: NDArray[np.float32], levels: NDArray[Any]) -> Floats:
    """The values back, (n,) float32. Raises TensorDamaged when there are not as many scales as blocks."""
    if scales.size != -(-levels.size // BLOCK):
        raise TensorDamaged(f"{scales.size} scales do not fit {levels.size} values")
    return levels.astype(np.float32) * np.repeat(scales, BLOCK)[: levels.size]

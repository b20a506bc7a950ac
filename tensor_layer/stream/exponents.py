"""The exponents of a chunk of floats, coded: two to a byte where sixteen neighbouring ones are nearly all there are.

Huffman's coder is what packing weights costs, and pairs give it half as many bytes; whole pairs also come out a little
smaller. Exponents outside the sixteen are listed. Called by `planes`.
"""

import struct

import numpy as np

from tensor_layer.errors import TensorDamaged
from tensor_layer.stream import huffman
from tensor_layer.stream.tensor import Words

_HEAD = struct.Struct("<BBxxI")
_ALONE, _PAIRS = 0, 1

SPAN = 16
LOOKED_AT = 2048
FEW = 32 * 1024
"""So few exponents are coded faster than looked at."""

APART_MAX = 1 / 256
"""Of the exponents so many may lie outside the sixteen, five bytes each; with more, every exponent has its own byte."""


def encode(exponents: Words) -> bytes:
    """(n,) uint8, coded."""
    lowest = _where_most_are(exponents)
    if lowest is None:
        return _alone(exponents)
    near = np.subtract(exponents, np.uint8(lowest))  # wraps around: what is below is far above
    apart = near >= SPAN
    if np.count_nonzero(apart) > APART_MAX * exponents.size:  # not what the look at it promised
        return _alone(exponents)
    where = _rarely(apart)
    two = np.bitwise_and(near, SPAN - 1, out=near).view("<u2")
    pairs = np.bitwise_or(np.right_shift(two, 4), two).astype(np.uint8)
    return b"".join((_HEAD.pack(_PAIRS, lowest, where.size), where.data, exponents[where].data, huffman.squeeze(pairs)))


def decode(coded: memoryview, count: int) -> Words:
    """(count,) uint8. Raises TensorDamaged."""
    if coded.nbytes < _HEAD.size:
        raise TensorDamaged("the exponents end before their head does")
    how, lowest, listed = _HEAD.unpack_from(coded)
    rest = coded[_HEAD.size :]
    if how == _ALONE and not listed:
        return huffman.expand(rest, count)
    if how != _PAIRS or count % 2 or rest.nbytes < 5 * listed:
        raise TensorDamaged("the exponents are not as their head says")
    pairs = huffman.expand(rest[5 * listed :], count // 2).astype("<u2")
    np.bitwise_or(pairs, np.left_shift(pairs, 4), out=pairs)
    exponents: Words = np.bitwise_and(pairs, 0x0F0F, out=pairs).view(np.uint8)
    np.add(exponents, np.uint8(lowest), out=exponents)
    where = np.frombuffer(rest[: 4 * listed], "<u4")
    if listed and int(where.max()) >= count:
        raise TensorDamaged("an exponent is listed outside its chunk")
    exponents[where] = np.frombuffer(rest[4 * listed : 5 * listed], np.uint8)
    return exponents


def _alone(exponents: Words) -> bytes:
    return _HEAD.pack(_ALONE, 0, 0) + huffman.squeeze(exponents)


def _rarely(marks: Words) -> Words:
    """Where (n,) bool is true, as <u4; quick when that is hardly anywhere."""
    eights = np.flatnonzero(marks.view("<u8") != 0)
    first, within = np.nonzero(marks.reshape(-1, 8)[eights])
    where: Words = (8 * eights[first] + within).astype("<u4")
    return where


def _where_most_are(exponents: Words) -> int | None:
    """The lowest of the sixteen neighbours that hold most; None where too much lies outside, or pairs would not pay."""
    if exponents.size < FEW or exponents.size % 8:
        return None
    seen = exponents[:: exponents.size // LOOKED_AT | 1]  # odd: rows have even lengths
    up_to = np.concatenate(([0], np.cumsum(np.bincount(seen, minlength=256))))
    held = up_to[SPAN:] - up_to[:-SPAN]
    lowest = int(held.argmax())
    return lowest if seen.size - held[lowest] <= APART_MAX * seen.size else None

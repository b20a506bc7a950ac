"""Floats, exponents apart from mantissas, as ZipNN does (Hershcovitch et al. 2024). Called through `codecs`.

Of the upper 16 bits of a word, eight are the first plane: the exponent of a bfloat16 or float32, most of a float64's.
Sign and what is left of the sixteen are the second plane, coded where that pays. The bits below are noise and stay.
"""

import struct

import numpy as np

from schemas.tensor import DType
from tensor_layer.errors import TensorDamaged
from tensor_layer.stream import exponents, huffman
from tensor_layer.stream.tensor import Words

_HEAD = struct.Struct("<II")

_BELOW = {16: (), 32: ("<u2",), 64: ("<u2", "<u4")}
"""How the bits below the upper 16 are stored, most significant first."""


def encode(words: Words, _: DType) -> bytes:
    """The words, coded."""
    bits = words.dtype.itemsize * 8
    upper = words if bits == 16 else np.right_shift(words, bits - 16).astype("<u2")
    first = exponents.encode(np.right_shift(upper, 7).astype(np.uint8))
    second = _second(upper).data if bits == 16 else huffman.squeeze_if_worth_it(_second(upper))
    below = [np.right_shift(words, 32).astype("<u2")] if bits == 64 else []
    below += [words.astype(kind) for kind in _BELOW[bits][-1:]]
    return b"".join((_HEAD.pack(len(first), len(second)), first, second, *(part.data for part in below)))


def decode(coded: memoryview, into: Words, _: DType) -> None:
    """Fill ``into``. Raises TensorDamaged."""
    bits, count = into.dtype.itemsize * 8, into.size
    if coded.nbytes < _HEAD.size:
        raise TensorDamaged("a planes chunk ends before its head does")
    first_bytes, second_bytes = _HEAD.unpack_from(coded)
    second_at = _HEAD.size + first_bytes
    at = second_at + second_bytes
    if at + count * (bits - 16) // 8 != coded.nbytes:
        raise TensorDamaged("a planes chunk is not as long as it says")
    upper = into if bits == 16 else np.empty(count, "<u2")
    _join(
        exponents.decode(coded[_HEAD.size : second_at], count),
        huffman.expand_if_coded(coded[second_at:at], count),
        upper,
    )
    if bits == 16:
        return
    into[:] = upper
    for kind in map(np.dtype, _BELOW[bits]):
        np.left_shift(into, 8 * kind.itemsize, out=into)
        np.bitwise_or(into, np.frombuffer(coded, kind, count, at), out=into)
        at += count * kind.itemsize


def _second(upper: Words) -> Words:
    """(n,) uint8: the sign, then the lowest seven bits."""
    second = upper.astype(np.uint8)
    np.bitwise_and(second, 0x7F, out=second)
    sign = np.right_shift(upper, 8).astype(np.uint8)
    np.bitwise_and(sign, 0x80, out=sign)
    return np.bitwise_or(second, sign, out=second)


def _join(first: Words, second: Words, into: Words) -> None:
    """Put both planes together as the upper 16 bits."""
    into[:] = first
    np.left_shift(into, 7, out=into)
    np.bitwise_or(into, np.bitwise_and(second, 0x7F), out=into)
    sign = np.bitwise_and(second, 0x80).astype("<u2")
    np.bitwise_or(into, np.left_shift(sign, 8, out=sign), out=into)

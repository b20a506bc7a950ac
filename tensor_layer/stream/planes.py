"""Floats, exponents apart from mantissas, as ZipNN does (Hershcovitch et al. 2024). Called through `codecs`.

A float's word rotated left by one has its exponent in the top byte. The top byte, and in 32 bits the next one where
that pays, is Huffman-coded; the rest is noise and stays.
"""

import struct

import numpy as np

from schemas.tensor import DType
from tensor_layer.errors import TensorDamaged
from tensor_layer.stream import huffman
from tensor_layer.stream.tensor import Words

_HEAD = struct.Struct("<II")

TRIED = 16 * 1024
"""Of a second plane so many bytes are coded to see whether they shrink: in trained weights they do not."""


def encode(words: Words, _: DType) -> bytes:
    """The words, coded."""
    bits = words.dtype.itemsize * 8
    rotated = np.left_shift(words, 1)
    np.bitwise_or(rotated, np.right_shift(words, bits - 1), out=rotated)
    top = huffman.squeeze(np.right_shift(rotated, bits - 8).astype(np.uint8))
    if bits == 16:
        return b"".join((_HEAD.pack(len(top), 0), top, rotated.astype(np.uint8).tobytes()))
    middle = _worth_it(np.right_shift(rotated, 16).astype(np.uint8))
    return b"".join((_HEAD.pack(len(top), len(middle)), top, middle, rotated.astype("<u2").tobytes()))


def decode(coded: memoryview, into: Words, _: DType) -> None:
    """Fill ``into``. Raises TensorDamaged."""
    bits, count = into.dtype.itemsize * 8, into.size
    low_bytes = count if bits == 16 else 2 * count
    if coded.nbytes < _HEAD.size:
        raise TensorDamaged("a planes chunk ends before its head does")
    top_bytes, middle_bytes = _HEAD.unpack_from(coded)
    middle_at = _HEAD.size + top_bytes
    low_at = middle_at + middle_bytes
    if low_at + low_bytes != coded.nbytes or (bits == 16) != (middle_bytes == 0):
        raise TensorDamaged("a planes chunk is not as long as it says")
    into[:] = huffman.expand(coded[_HEAD.size : middle_at], count)
    if bits == 32:
        np.left_shift(into, 8, out=into)
        np.bitwise_or(into, _plane(coded[middle_at:low_at], count), out=into)
    low = np.frombuffer(coded[low_at:], np.uint8 if bits == 16 else "<u2")
    np.left_shift(into, bits // 2, out=into)
    np.bitwise_or(into, low, out=into)
    sign = np.left_shift(into, bits - 1)
    np.right_shift(into, 1, out=into)
    np.bitwise_or(into, sign, out=into)


def _worth_it(plane: Words) -> bytes:
    """The plane coded, or as it is: then it has one byte a word."""
    tried = plane[:TRIED]
    if len(huffman.squeeze(tried)) < tried.size:
        squeezed = huffman.squeeze(plane)
        if len(squeezed) < plane.size:
            return squeezed
    return plane.tobytes()


def _plane(coded: memoryview, count: int) -> Words:
    return np.frombuffer(coded, np.uint8) if coded.nbytes == count else huffman.expand(coded, count)

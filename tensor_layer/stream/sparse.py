"""Words of which most are zero: where the others are, and what they are. ReLU activations, changes between checkpoints.

One bit a word, Huffman-coded, then byte plane by byte plane of the words that are not zero. Called through `codecs`.
"""

import struct
from itertools import pairwise

import numpy as np

from schemas.tensor import DType
from tensor_layer.errors import TensorDamaged
from tensor_layer.stream import huffman
from tensor_layer.stream.tensor import Words


def encode(words: Words, _: DType) -> bytes:
    """The words, coded; longer than they are when few of them are zero."""
    present = words != 0
    columns = words[np.flatnonzero(present)].view(np.uint8).reshape(-1, words.dtype.itemsize)
    planes = (np.ascontiguousarray(columns[:, number]) for number in range(words.dtype.itemsize))
    parts = [huffman.squeeze(np.packbits(present)), *map(huffman.squeeze, planes)]
    return b"".join((struct.pack(f"<{len(parts)}I", *map(len, parts)), *parts))


def decode(coded: memoryview, into: Words, _: DType) -> None:
    """Fill ``into``. Raises TensorDamaged."""
    size = into.dtype.itemsize
    lengths = struct.Struct(f"<{1 + size}I")
    if coded.nbytes < lengths.size:
        raise TensorDamaged("a sparse chunk ends before its head does")
    ends = np.cumsum((lengths.size, *lengths.unpack_from(coded))).tolist()
    if ends[-1] != coded.nbytes:
        raise TensorDamaged("a sparse chunk is not as long as it says")
    bits, *planes = (coded[start:end] for start, end in pairwise(ends))
    present = np.unpackbits(huffman.expand(bits, -(-into.size // 8)), count=into.size)
    where = np.flatnonzero(present.view(np.bool_))
    columns = np.empty((where.size, size), np.uint8)
    for number, plane in enumerate(planes):
        columns[:, number] = huffman.expand(plane, where.size)
    into.fill(0)
    into[where] = columns.reshape(-1).view(into.dtype)

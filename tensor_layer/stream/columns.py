"""Integers that do not repeat, but of which some bytes vary little: sound, depths, counts, labels. Called by `codecs`.

They are narrowed as by `narrow`, steps also where these need the full width; then bytes of the same place in their
words lie side by side, each such plane through the Huffman coder, or as it is where that gains nothing.
"""

import struct
from itertools import pairwise

import numpy as np

from schemas.tensor import DType
from tensor_layer.errors import TensorDamaged
from tensor_layer.stream import huffman, narrow
from tensor_layer.stream.tensor import Words

WORTH_IT = 0.98
"""A plane that does not shrink by 2 % stays as it is."""


def encode(words: Words, dtype: DType) -> bytes:
    """The words, coded."""
    head, values = narrow.narrowed(words, dtype, steps_of_full_width=True)
    places = (np.right_shift(values, 8 * place).astype(np.uint8) for place in range(values.dtype.itemsize))
    planes = [huffman.squeeze_if_worth_it(place, WORTH_IT) for place in places]
    return b"".join((head, struct.pack(f"<{len(planes)}I", *map(len, planes)), *planes))


def decode(coded: memoryview, into: Words, _: DType) -> None:
    """Fill ``into``. Raises TensorDamaged."""
    narrow.widen(coded, into, _join)


def _join(coded: memoryview, into: Words) -> None:
    lengths = struct.Struct(f"<{into.dtype.itemsize}I")
    if coded.nbytes < lengths.size:
        raise TensorDamaged("a chunk of columns ends before its head does")
    ends = np.cumsum((lengths.size, *lengths.unpack_from(coded))).tolist()
    if ends[-1] != coded.nbytes:
        raise TensorDamaged("a chunk of columns is not as long as it says")
    into.fill(0)
    for place, (start, end) in enumerate(pairwise(ends)):
        plane = huffman.expand_if_coded(coded[start:end], into.size).astype(into.dtype)
        np.bitwise_or(into, np.left_shift(plane, 8 * place, out=plane), out=into)

"""Integers that need a part of their width: ids, labels, positions, times. Called through `codecs`.

They are counted from the smallest of them (what rises steadily: from one to the next first) and stored in the narrowest
words that hold that, through blosc2 (`columns` codes the same words otherwise). Arithmetic wraps around, so that every
bit comes back.
"""

import struct
from collections.abc import Callable

import numpy as np

from schemas.tensor import DType
from tensor_layer.errors import TensorDamaged
from tensor_layer.stream import shuffle
from tensor_layer.stream.tensor import Words

_HEAD = struct.Struct("<BBxxxxxxQQ")
"""Bytes of a narrow word, whether they are steps, the first value, the smallest of what is stored."""

LOOKED_AT = 2048
WIDTHS = (1, 2, 4, 8)


def encode(words: Words, dtype: DType) -> bytes:
    """The words, coded; a little longer than by blosc2 alone when they need all of their width."""
    head, values = narrowed(words, dtype)
    return head + shuffle.encode(values)


def decode(coded: memoryview, into: Words, _: DType) -> None:
    """Fill ``into``. Raises TensorDamaged."""
    widen(coded, into, shuffle.decode)


def narrowed(words: Words, dtype: DType, *, steps_of_full_width: bool = False) -> tuple[bytes, Words]:
    """The head, and what is to be coded behind it. Steps that need the full width are taken only where it is said."""
    signed, size = dtype.startswith("int"), words.dtype.itemsize
    steady = _rises(words[:LOOKED_AT], signed)
    values = _steps(words) if steady else words
    smallest, largest = _ends(values, steady or signed)
    if smallest >= 0 and _width(largest) == _width(largest - smallest):
        smallest = 0  # nothing to gain by subtracting it
    width = _width(largest - smallest)
    if width >= size:
        smallest, width = 0, size
        if not steps_of_full_width:
            steady, values = False, words
    # Cut off first, subtracted then: below the width both orders give the same, and fewer bytes are gone through.
    narrow = values.astype(f"<u{width}", copy=False)
    if smallest:
        narrow = np.subtract(narrow, narrow.dtype.type(smallest % 256**width))
    return _HEAD.pack(width, steady, int(words[0]) if steady else 0, smallest % 256**size), narrow


def widen(coded: memoryview, into: Words, expand: Callable[[memoryview, Words], None]) -> None:
    """Fill ``into`` from a head and what ``expand`` knows how to decode. Raises TensorDamaged."""
    if coded.nbytes < _HEAD.size:
        raise TensorDamaged("a narrow chunk ends before its head does")
    width, steady, first, smallest = _HEAD.unpack_from(coded)
    most = 256**into.dtype.itemsize
    if width not in WIDTHS or width > into.dtype.itemsize or steady > 1 or max(first, smallest) >= most:
        raise TensorDamaged("the head of a narrow chunk makes no sense")
    if into.size < steady:
        raise TensorDamaged("a chunk of nothing has no steps")
    narrow = np.empty(into.size - steady, f"<u{width}")
    expand(coded[_HEAD.size :], narrow)
    np.add(narrow, into.dtype.type(smallest), out=into[steady:])
    if steady:
        into[0] = first
        np.add.accumulate(into, out=into)


def _rises(words: Words, signed: bool) -> bool:
    """Whether neighbours differ by less than all of them do."""
    if words.size < 3:
        return False
    (lowest, highest), (smallest, largest) = _ends(_steps(words), signed=True), _ends(words, signed)
    return highest - lowest < largest - smallest


def _steps(words: Words) -> Words:
    return np.subtract(words[1:], words[:-1])


def _ends(words: Words, signed: bool) -> tuple[int, int]:
    """The smallest and the largest value."""
    values = words.view(f"<i{words.dtype.itemsize}") if signed else words
    return (int(values.min()), int(values.max())) if values.size else (0, 0)


def _width(value: int) -> int:
    """Bytes of the narrowest word that holds it."""
    return next(width for width in WIDTHS if value < 256**width)

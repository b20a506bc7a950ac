"""Truth values, eight to a byte before zstd looks for repeats: masks. Called through `codecs`."""

import numpy as np

from schemas.tensor import DType
from tensor_layer.errors import TensorDamaged
from tensor_layer.stream import huffman
from tensor_layer.stream.tensor import Words

_AS_THEY_ARE, _PACKED = b"\0", b"\1"


def encode(words: Words, _: DType) -> bytes:
    """(n,) uint8, coded. Bytes above one, which numpy lets bools hold, are kept."""
    if words.size and int(words.max()) > 1:
        return _AS_THEY_ARE + huffman.squeeze_repeats(words)
    return _PACKED + huffman.squeeze_repeats(np.packbits(words))


def decode(coded: memoryview, into: Words, _: DType) -> None:
    """Fill ``into``. Raises TensorDamaged."""
    how, rest = bytes(coded[:1]), coded[1:]
    if how == _AS_THEY_ARE:
        into[:] = huffman.expand(rest, into.size)
    elif how == _PACKED:
        into[:] = np.unpackbits(huffman.expand(rest, -(-into.size // 8)), count=into.size)
    else:
        raise TensorDamaged("the head of a chunk of bits makes no sense")

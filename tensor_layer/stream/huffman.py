"""zstd on plain bytes, for the codecs that have taken words apart: as a mere Huffman coder, or looking for repeats.

Called by `exponents`, `planes`, `columns`, `sparse`, `bits` and `codecs`.
"""

from threading import local

import numpy as np
import zstandard

from tensor_layer.errors import TensorDamaged
from tensor_layer.stream.tensor import Words

LETTERS = zstandard.ZstdCompressionParameters(
    strategy=zstandard.STRATEGY_FAST, window_log=17, hash_log=6, chain_log=6, search_log=1, min_match=7, target_length=0
)
"""zstd with its match finder all but blind: what is left is its Huffman coder. Weights have no repeats worth finding,
and looking for them cost two thirds of the time and 3 % of the ratio."""

REPEATS = zstandard.ZstdCompressionParameters(
    strategy=zstandard.STRATEGY_FAST,
    window_log=20,
    hash_log=15,
    chain_log=6,
    search_log=1,
    min_match=7,
    target_length=0,
)
"""A window of a whole chunk, so that what repeats from afar is met. Text comes out a tenth smaller than at level 1."""


TRIED = 8 * 1024
"""Of a plane that may be noise so many bytes are coded to see whether they shrink."""


class _Kept(local):
    """zstd's working memory, one set a thread: making it anew takes as long as coding 8 KiB."""

    def __init__(self) -> None:
        self.letters = zstandard.ZstdCompressor(compression_params=LETTERS)
        self.repeats = zstandard.ZstdCompressor(compression_params=REPEATS)
        self.decompressor = zstandard.ZstdDecompressor()


_kept = _Kept()


def squeeze(content: Words) -> bytes:
    """The bytes of a contiguous array, Huffman-coded."""
    return _kept.letters.compress(content.data)


def squeeze_if_worth_it(plane: Words, share: float = 1.0) -> bytes | memoryview:
    """The bytes Huffman-coded where the first of them take less than that share; else as they are, one a byte."""
    tried = plane[:TRIED]
    if len(squeeze(tried)) < share * tried.size:
        squeezed = squeeze(plane)
        if len(squeezed) < plane.size:
            return squeezed
    return plane.data


def squeeze_repeats(content: Words) -> bytes:
    """The same, with what repeats within the last MiB left out."""
    return _kept.repeats.compress(content.data)


def expand(coded: memoryview, count: int) -> Words:
    """(count,) uint8 of either. Raises TensorDamaged, before memory is reserved, when that is not what was coded."""
    try:
        if zstandard.frame_content_size(coded) != count:
            raise TensorDamaged(f"a plane does not hold {count} bytes")
        return np.frombuffer(_kept.decompressor.decompress(coded, max_output_size=count), np.uint8)
    except (zstandard.ZstdError, MemoryError) as error:
        raise TensorDamaged(f"a plane does not decode: {error}") from error


def expand_if_coded(coded: memoryview, count: int) -> Words:
    """(count,) uint8 of `squeeze_if_worth_it`. Raises TensorDamaged as ``expand``."""
    return np.frombuffer(coded, np.uint8) if coded.nbytes == count else expand(coded, count)

"""Which codec a chunk gets: from trials on a small sample of its own bytes, within a CPU budget. Called by `writer`.

Deterministic: the same chunks give the same choices on every machine, since speeds are measured constants of `codecs`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from schemas.tensor import DType
from tensor_layer.stream.codecs import BITS, BLOSC, CODECS, COLUMNS, NARROW, PLANES, RAW, SPARSE, ZSTD, Codec
from tensor_layer.stream.tensor import Words

SLICES = 4
SLICE_BYTES = 4 * 1024
"""16 KiB in four places: enough for zstd to meet what repeats nearby and for pcodec to fit its bins."""

CLOSE, TABLES_BYTES = 1.01, 128
"""The fastest codec is taken among those within 1 % of the smallest and the size of some Huffman tables, which weigh
more in a sample than in a chunk."""

WORTH_IT = 0.98
"""A chunk that would not shrink by 2 % stays raw: decoding it would cost more than it saves."""

TRUSTED_CHUNKS = 16
DRIFT = 0.03
"""A choice stands for 16 chunks, or until one of them turns out 3 points of its size away from the first: that one and
the next are looked at anew."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How much CPU encoding may take: codecs slower than this many MB per CPU-second are left out."""

    mb_per_cpu_s: float

    def allows(self, dtype: DType) -> tuple[Codec, ...]:
        """The codecs to choose from, raw always among them."""
        return tuple(
            codec
            for codec in CODECS
            if codec is RAW or (codec.takes(dtype) and codec.mb_per_cpu_s >= self.mb_per_cpu_s)
            # Single bytes have no planes to shuffle, and whole numbers are narrowed before they are.
            if codec is not BLOSC or not any(better.takes(dtype) for better in (BITS, ZSTD, NARROW))
        )


STREAMING = Budget(400.0)
COLD = Budget(50.0)


class Chooser:
    """Chooses for the chunks of one tensor, in order. Not shared between tensors or threads."""

    def __init__(self, dtype: DType, budget: Budget) -> None:
        self.dtype = dtype
        self._candidates = budget.allows(dtype)
        self._standing: Codec | None = None
        self._share = 1.0
        self._left = 0

    def encode(self, words: Words) -> tuple[Codec, bytes | memoryview]:
        """The chunk, coded with the codec that suits it."""
        if self._standing is None or self._left <= 0:
            return self._afresh(words)
        self._left -= 1
        coded = self._standing.encode(words, self.dtype)
        if abs(len(coded) / words.nbytes - self._share) <= DRIFT:
            return self._standing, coded
        before = self._standing
        codec = self._look(words)
        return codec, coded if codec is before else codec.encode(words, self.dtype)

    def _afresh(self, words: Words) -> tuple[Codec, bytes | memoryview]:
        codec = self._look(words)
        coded = codec.encode(words, self.dtype)
        self._share, self._left = len(coded) / words.nbytes, TRUSTED_CHUNKS - 1
        return codec, coded

    def _look(self, words: Words) -> Codec:
        self._left = 0  # until a chunk coded afresh shows what to expect
        self._standing = best_on_sample(sample(words), self.dtype, self._candidates)
        return self._standing


def sample(words: Words) -> Words:
    """At most 16 KiB of the chunk, in four evenly spaced slices; a small chunk whole."""
    each = SLICE_BYTES // words.dtype.itemsize
    if words.size <= SLICES * each:
        return words
    last = words.size - each
    taken: Words = np.concatenate([words[at : at + each] for at in range(0, last + 1, last // (SLICES - 1))])
    return taken


def best_on_sample(words: Words, dtype: DType, candidates: Sequence[Codec]) -> Codec:
    """The fastest candidate among those whose results are close to the smallest."""
    needless = (RAW, PLANES if _mostly_zero(words) else SPARSE)
    tried = (codec for codec in candidates if codec not in needless)
    sizes = {codec: len(codec.encode(words, dtype)) for codec in tried}
    smallest = min(sizes.values(), default=words.nbytes)
    if smallest > WORTH_IT * words.nbytes:
        return RAW
    close = CLOSE * smallest + TABLES_BYTES
    if sizes.get(COLUMNS, 0) > sizes.get(NARROW, 0):
        del sizes[COLUMNS]  # no allowance: it finds no repeats, and a chunk has more of them than its sample shows
    return max((codec for codec, size in sizes.items() if size <= close), key=lambda codec: codec.mb_per_cpu_s)


def _mostly_zero(words: Words) -> bool:
    return 2 * int(np.count_nonzero(words)) <= words.size

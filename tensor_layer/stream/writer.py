"""Packs one tensor into frames, a chunk at a time: never more than one chunk and its coded form in memory.

Called by `packed_files` and `handoff`. The result can be sent, written to a file, or joined.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tensor_layer.errors import TensorRefused
from tensor_layer.stream import frames
from tensor_layer.stream.choice import STREAMING, TRUSTED_CHUNKS, Budget, Chooser
from tensor_layer.stream.codecs import BY_CODE, RAW
from tensor_layer.stream.frames import CHUNK_BYTES, Frame, Header
from tensor_layer.stream.lossy import Floats, Lossy, to_bf16, to_int8
from tensor_layer.stream.tensor import Tensor, Words


@dataclass(slots=True)
class Tally:
    """What packing did; filled while the frames are taken."""

    raw_bytes: int = 0
    packed_bytes: int = 0
    chunks_by_codec: dict[str, int] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Bytes before over bytes after."""
        return self.raw_bytes / self.packed_bytes if self.packed_bytes else 1.0


def pack(
    tensor: Tensor,
    *,
    budget: Budget = STREAMING,
    reference: Tensor | None = None,
    lossy: Lossy | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    tally: Tally | None = None,
) -> Iterator[bytes | memoryview]:
    """The packed tensor in pieces. Blocking and CPU-heavy: call from a thread.

    ``reference`` lets chunks be stored as XOR with the same chunk of it, where that is smaller: it must have the same
    dtype and shape, and reading needs it again. ``lossy`` allows rounding within its stated bound, of float32 only.
    Raises TensorRefused.
    """
    _check(tensor, reference, lossy)
    header = Header(
        dtype=tensor.dtype,
        shape=tensor.shape,
        chunk_bytes=chunk_bytes,
        reference=reference.tensor_id if reference else None,
        lossy=lossy,
    )
    counted = tally if tally is not None else Tally()
    counted.raw_bytes += tensor.size_bytes
    at, offsets = 0, []
    pieces = _Packer(tensor, reference, header, budget)
    for number, piece in enumerate(pieces, start=-1):
        if number >= 0:
            offsets.append(at)
        for part in piece:
            at += len(part)
            counted.packed_bytes += len(part)
            yield part
    counted.chunks_by_codec = pieces.counts
    end = frames.pack_index(offsets, at)
    counted.packed_bytes += len(end)
    yield end


def pack_bytes(tensor: Tensor, **how: Any) -> bytes:  # noqa: ANN401 - the arguments of pack
    """The packed tensor whole, for small ones."""
    return b"".join(pack(tensor, **how))


def _check(tensor: Tensor, reference: Tensor | None, lossy: Lossy | None) -> None:
    if reference is not None and (reference.dtype, reference.shape) != (tensor.dtype, tensor.shape):
        raise TensorRefused(
            f"the reference is {reference.dtype} {reference.shape}, the tensor {tensor.dtype} {tensor.shape}: "
            "a delta needs the same dtype and shape"
        )
    if lossy is not None and tensor.dtype != "float32":
        raise TensorRefused(f"lossy forms are for float32, not for {tensor.dtype}")
    if lossy is not None and reference is not None:
        raise TensorRefused("a tensor is stored either lossily or as a delta, not both")


class _Packer:
    """Header first, then one frame a chunk."""

    def __init__(self, tensor: Tensor, reference: Tensor | None, header: Header, budget: Budget) -> None:
        self._words = tensor.words()
        self._reference = reference.words() if reference else None
        self._header = header
        self._plain = Chooser(tensor.dtype, budget)
        self._delta = Chooser(_integers(tensor), budget)
        self._bf16 = Chooser("bfloat16", budget)
        self._int8 = Chooser("int8", budget)
        self._delta_from = 0
        self.counts: dict[str, int] = {}

    def __iter__(self) -> Iterator[tuple[bytes | memoryview, ...]]:
        yield (self._header.pack(),)
        each = self._header.chunk_bytes // self._words.dtype.itemsize
        for number in range(self._header.chunks):
            frame = self._frame(number, slice(number * each, (number + 1) * each))
            self._count(frame)
            yield frame.pack()

    def _frame(self, number: int, where: slice) -> Frame:
        words = self._words[where]
        if self._header.lossy == "bf16":
            rounded = to_bf16(words.view(np.float32))
            return self._coded(number, frames.BF16, rounded, self._bf16, words.nbytes)
        if self._header.lossy == "int8":
            return self._scaled(number, words.view(np.float32))
        if self._reference is not None and number >= self._delta_from:
            return self._delta_or_plain(number, words, self._reference[where])
        return self._coded(number, frames.PLAIN, words, self._plain, words.nbytes)

    def _delta_or_plain(self, number: int, words: Words, reference: Words) -> Frame:
        delta = self._coded(number, frames.DELTA, np.bitwise_xor(words, reference), self._delta, words.nbytes)
        # Checkpoints of one run halve and better; anything less may do as well or better by itself.
        if 2 * len(delta.coded) <= words.nbytes:
            return delta
        plain = self._coded(number, frames.PLAIN, words, self._plain, words.nbytes)
        if len(plain.coded) > len(delta.coded):
            return delta
        self._delta_from = number + TRUSTED_CHUNKS
        return plain

    def _scaled(self, number: int, values: Floats) -> Frame:
        scaled = to_int8(values)
        if scaled is None:  # NaN, Inf or values too small to scale: this chunk keeps its exact words
            return self._coded(number, frames.PLAIN, values.view("<u4"), self._plain, values.nbytes)
        scales, levels = scaled
        return self._coded(number, frames.INT8, levels.view(np.uint8), self._int8, values.nbytes, scales.tobytes())

    def _coded(
        self, number: int, form: int, words: Words, chooser: Chooser, raw_bytes: int, extra: bytes = b""
    ) -> Frame:
        digest = frames.check(words)  # first: it brings the words into the cache for the codec
        codec, coded = chooser.encode(words)
        if extra:
            return Frame(number, codec.code, form, raw_bytes, digest, extra + coded, len(extra))
        return Frame(number, codec.code, form, raw_bytes, digest, coded, check_coded=digest if codec is RAW else None)

    def _count(self, frame: Frame) -> None:
        name = frames.FORM_NAMES[frame.form] + BY_CODE[frame.codec].name
        self.counts[name] = self.counts.get(name, 0) + 1


def _integers(tensor: Tensor) -> Any:  # noqa: ANN401 - one of the dtype names
    """The dtype that XORed words are coded as: they are no floats any more."""
    return f"uint{8 * tensor.array.dtype.itemsize}"

"""Unpacks frames: a whole stream in order, or any part of a file without reading the rest.

Called by `packed_files` and `handoff`.
Every chunk is either decoded and proven by its checks, or TensorDamaged is raised: nothing half-decoded gets out.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tensor_layer.errors import TensorDamaged, TensorRefused
from tensor_layer.stream import frames
from tensor_layer.stream.codecs import BY_CODE
from tensor_layer.stream.frames import FrameHead, Header
from tensor_layer.stream.lossy import from_bf16, from_int8
from tensor_layer.stream.tensor import STORED_AS, Tensor, Words, from_numpy

LIMIT_BYTES = 64 << 30
"""A stream that announces more values than this is refused before memory is reserved for them."""


class Readable(Protocol):
    """Bytes at any place: a file, a mapping, a ranged request."""

    def read_at(self, offset: int, length: int) -> bytes | memoryview:
        """Up to ``length`` bytes; fewer at the end."""
        ...

    @property
    def size_bytes(self) -> int:
        """Length of all there is."""
        ...


class InMemory:
    """Packed bytes already here (a mapped file's too), as ``Readable``."""

    def __init__(self, packed: bytes | memoryview) -> None:
        self._packed = memoryview(packed).cast("B")

    def read_at(self, offset: int, length: int) -> memoryview:
        """A view, not copied."""
        return self._packed[offset : offset + length]

    @property
    def size_bytes(self) -> int:
        """Length of the buffer."""
        return len(self._packed)


class PackedTensor:
    """Random access to one packed tensor. Opening reads header, footer and index only. Raises TensorDamaged.

    ``heads_only`` is for looking at a delta without its reference; its values cannot be read then.
    """

    def __init__(self, source: Readable, *, reference: Tensor | None = None, heads_only: bool = False) -> None:
        self._source = source
        self.header = _open_header(source)
        self._reference = None if heads_only else _reference_words(self.header, reference)
        at = frames.unpack_footer(source.read_at(max(source.size_bytes - frames.FOOTER_BYTES, 0), frames.FOOTER_BYTES))
        length = frames.index_length(self.header.chunks)
        if at + length + frames.FOOTER_BYTES != source.size_bytes:
            raise TensorDamaged("the stream is not as long as its index says")
        self._offsets = frames.unpack_index(source.read_at(at, length), self.header.chunks)

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Values ``start`` to ``stop`` of the flattened tensor; only the frames that hold them are read."""
        itemsize = np.dtype(STORED_AS[self.header.dtype]).itemsize
        total, each = self.header.size_bytes // itemsize, self.header.chunk_bytes // itemsize
        if not 0 <= start <= stop <= total:
            raise TensorRefused(f"values {start} to {stop} of {total}")
        first, last = start // each, -(-stop // each)
        words = np.empty(max(min(last * each, total) - first * each, 0), f"<u{itemsize}")
        for number in range(first, last):
            place = slice((number - first) * each, (number + 1 - first) * each)
            self._chunk(number, words[place])
        return words[start - first * each : stop - first * each].view(STORED_AS[self.header.dtype])

    def tensor(self) -> Tensor:
        """All of it."""
        whole = self.read(0, self.header.size_bytes // np.dtype(STORED_AS[self.header.dtype]).itemsize)
        return from_numpy(whole.reshape(self.header.shape), self.header.dtype)

    def frame_heads(self) -> Iterator[FrameHead]:
        """How each chunk is stored."""
        for offset in self._offsets:
            yield frames.unpack_frame_head(self._source.read_at(offset, frames.FRAME_HEAD_BYTES))

    def _chunk(self, number: int, into: Words) -> None:
        offset = self._offsets[number]
        head = frames.unpack_frame_head(self._source.read_at(offset, frames.FRAME_HEAD_BYTES))
        coded = self._source.read_at(offset + frames.FRAME_HEAD_BYTES, head.coded_bytes)
        decode_frame(self.header, head, coded, number, into, self._reference)


def unpack(pieces: Iterable[bytes | memoryview], *, reference: Tensor | None = None) -> Tensor:
    """A whole stream that arrives in order, in pieces of any size. Raises TensorDamaged, TensorRefused."""
    feed = _Feed(pieces)
    start = feed.take(frames.HEAD_BYTES)
    rest = feed.take(frames.header_length(start) - frames.HEAD_BYTES)
    header = _bounded(frames.unpack_header(bytes(start) + bytes(rest)))
    words = np.empty(header.size_bytes // np.dtype(STORED_AS[header.dtype]).itemsize, _words_dtype(header))
    other = _reference_words(header, reference)
    each = header.chunk_bytes // words.dtype.itemsize
    offsets, at = [], len(start) + len(rest)
    for number in range(header.chunks):
        head = frames.unpack_frame_head(feed.take(frames.FRAME_HEAD_BYTES))
        into = words[number * each : (number + 1) * each]
        decode_frame(header, head, feed.take(head.coded_bytes), number, into, other)
        offsets.append(at)
        at += frames.FRAME_HEAD_BYTES + head.coded_bytes
    if frames.unpack_index(feed.take(frames.index_length(header.chunks)), header.chunks) != tuple(offsets):
        raise TensorDamaged("the index does not fit the frames")
    if frames.unpack_footer(feed.take(frames.FOOTER_BYTES)) != at or feed.more():
        raise TensorDamaged("the stream goes on after its end")
    return from_numpy(words.view(STORED_AS[header.dtype]).reshape(header.shape), header.dtype)


def decode_frame(
    header: Header, head: FrameHead, coded: bytes | memoryview, number: int, into: Words, reference: Words | None
) -> None:
    """Decode one frame into (n,) words. Raises TensorDamaged; ``into`` then holds nothing to rely on."""
    if head.number != number or head.raw_bytes != into.nbytes or head.codec not in BY_CODE:
        raise TensorDamaged(f"frame {head.number} is not the frame {number} that belongs here")
    if len(coded) != head.coded_bytes:
        raise TensorDamaged(f"the stream ends inside frame {number}")
    if frames.check(coded) != head.check_coded:
        raise TensorDamaged(f"frame {number} is altered")
    view = memoryview(coded)
    if head.form in (frames.BF16, frames.INT8) and header.dtype == "float32":
        into[:] = _lossy(head, view).view(into.dtype)
        return
    if head.form not in (frames.PLAIN, frames.DELTA) or head.extra_bytes:
        raise TensorDamaged(f"frame {number} has a form that {header.dtype} does not have")
    delta = head.form == frames.DELTA
    _decode_words(head, view, into, f"uint{8 * into.dtype.itemsize}" if delta else header.dtype)
    if delta:
        if reference is None:
            raise TensorDamaged(f"frame {number} is a delta, but the header names no reference")
        start = number * (header.chunk_bytes // into.dtype.itemsize)
        np.bitwise_xor(into, reference[start : start + into.size], out=into)


def _lossy(head: FrameHead, coded: memoryview) -> NDArray[np.float32]:
    count = head.raw_bytes // 4
    if head.form == frames.BF16:
        rounded = np.empty(count, "<u2")
        _decode_words(head, coded, rounded, "bfloat16")
        return from_bf16(rounded)
    if head.extra_bytes % 4:
        raise TensorDamaged(f"frame {head.number} has a broken scale")
    levels = np.empty(count, np.uint8)
    _decode_words(head, coded[head.extra_bytes :], levels, "int8")
    return from_int8(np.frombuffer(coded[: head.extra_bytes], "<f4"), levels.view(np.int8))


def _decode_words(head: FrameHead, coded: memoryview, into: Words, dtype: Any) -> None:  # noqa: ANN401 - a dtype name
    codec = BY_CODE[head.codec]
    if not codec.takes(dtype):
        raise TensorDamaged(f"frame {head.number}: {codec.name} does not store {dtype}")
    codec.decode(coded, into, dtype)
    if frames.check(into) != head.check_raw:
        raise TensorDamaged(f"frame {head.number} decodes to other values than were packed")


def _open_header(source: Readable) -> Header:
    length = frames.header_length(source.read_at(0, frames.HEAD_BYTES))
    return _bounded(frames.unpack_header(source.read_at(0, length)))


def _bounded(header: Header) -> Header:
    if header.size_bytes > LIMIT_BYTES:
        raise TensorRefused(f"a tensor of {header.size_bytes} bytes; at most {LIMIT_BYTES} are accepted")
    return header


def _reference_words(header: Header, reference: Tensor | None) -> Words | None:
    if header.reference is None:
        return None
    if reference is None or reference.tensor_id != header.reference:
        raise TensorRefused(f"this tensor is stored as a delta: give the reference {header.reference}")
    return reference.words()


def _words_dtype(header: Header) -> str:
    return f"<u{np.dtype(STORED_AS[header.dtype]).itemsize}"


class _Feed:
    """Exactly so many bytes at a time out of pieces of any size. Holds one piece and what is being taken."""

    def __init__(self, pieces: Iterable[bytes | memoryview]) -> None:
        self._pieces = iter(pieces)
        self._piece = memoryview(b"")

    def take(self, length: int) -> bytes | memoryview:
        if len(self._piece) >= length:
            taken, self._piece = self._piece[:length], self._piece[length:]
            return taken if length > frames.FRAME_HEAD_BYTES else bytes(taken)
        gathered = bytearray()
        while len(gathered) < length and (len(self._piece) or self.more()):
            wanted = length - len(gathered)
            gathered += self._piece[:wanted]
            self._piece = self._piece[wanted:]
        return bytes(gathered)

    def more(self) -> bool:
        while not len(self._piece):
            piece = next(self._pieces, None)
            if piece is None:
                return False
            self._piece = memoryview(piece).cast("B")
        return True

"""The byte layout of a packed tensor: header, one frame a chunk, index, footer. Read by `reader`, written by `writer`.

    header   "AOST" version meta_bytes | meta (JSON) | xxh3-64 of both
    frame    "AF" codec form | number | raw_bytes | coded_bytes | extra | check_raw | check_coded | head check | coded
    index    "AI" | count | offset of each frame | xxh3-64
    footer   offset of the index | xxh3-64 of it | "AEND"

All numbers are little-endian. A frame's own head is checked before its lengths are believed, the coded bytes before a
codec sees them, the decoded words before anyone else does. The checks find damage, not forgery: they are no signature.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import xxhash
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.tensor import DType
from tensor_layer.errors import TensorDamaged, TensorRefused
from tensor_layer.stream.lossy import Lossy
from tensor_layer.stream.tensor import STORED_AS, size_of

VERSION = 1
META_MAX_BYTES = 4096
CHUNK_BYTES = 1 << 20
CHUNK_MAX_BYTES = 64 << 20

_HEAD = struct.Struct("<4sHH")
_FRAME = struct.Struct("<2sBBIIIIQQQ")
_INDEX = struct.Struct("<2sxxI")
_FOOTER = struct.Struct("<QQ4s")
_CHECK = struct.Struct("<Q")

FRAME_HEAD_BYTES = _FRAME.size
FOOTER_BYTES = _FOOTER.size
HEAD_BYTES = _HEAD.size

PLAIN, DELTA, BF16, INT8 = 0, 1, 2, 3
"""Forms of a chunk before its codec: the words themselves, XORed with the reference's, rounded, scaled."""

FORM_NAMES = {PLAIN: "", DELTA: "delta+", BF16: "bf16+", INT8: "int8+"}


def check(content: Any) -> int:  # noqa: ANN401 - anything contiguous: bytes, views, arrays
    """xxh3-64 of a buffer's bytes."""
    return xxhash.xxh3_64_intdigest(content)


class Header(BaseModel):
    """What the whole stream says about itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: DType
    shape: tuple[int, ...]
    chunk_bytes: int = Field(gt=0, le=CHUNK_MAX_BYTES)
    reference: str | None = Field(default=None, max_length=64, description="tensor_id that delta chunks are XORed with")
    lossy: Lossy | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes of the decoded values."""
        return size_of(self.dtype, self.shape)

    @property
    def chunks(self) -> int:
        """How many frames follow."""
        return -(-self.size_bytes // self.chunk_bytes)

    def pack(self) -> bytes:
        """The header's bytes."""
        meta = self.model_dump_json(exclude_defaults=True).encode()
        if len(meta) > META_MAX_BYTES:
            raise TensorRefused(f"the header takes {len(meta)} bytes; at most {META_MAX_BYTES} are accepted")
        body = _HEAD.pack(b"AOST", VERSION, len(meta)) + meta
        return body + _CHECK.pack(check(body))


def header_length(start: bytes | memoryview) -> int:
    """Bytes of the whole header, from its first eight. Raises TensorDamaged."""
    if len(start) < HEAD_BYTES:
        raise TensorDamaged("the stream ends inside its header")
    magic, version, meta_bytes = _HEAD.unpack_from(start)
    if magic != b"AOST":
        raise TensorDamaged("this is no packed tensor: it does not start with AOST")
    if version != VERSION:
        raise TensorDamaged(f"packed by version {version} of the format; this is version {VERSION}")
    if meta_bytes > META_MAX_BYTES:
        raise TensorDamaged(f"a header of {meta_bytes} bytes")
    return HEAD_BYTES + int(meta_bytes) + _CHECK.size


def unpack_header(packed: bytes | memoryview) -> Header:
    """The header from exactly its bytes. Raises TensorDamaged."""
    body, end = packed[: -_CHECK.size], packed[-_CHECK.size :]
    if len(packed) != header_length(packed) or check(body) != _CHECK.unpack(end)[0]:
        raise TensorDamaged("the header is truncated or altered")
    try:
        header = Header.model_validate_json(bytes(body[HEAD_BYTES:]))
        itemsize = int(STORED_AS[header.dtype][-1])
        if header.size_bytes % itemsize or header.chunk_bytes % itemsize:
            raise TensorDamaged("chunks of the header do not hold whole values")
    except (ValidationError, TensorRefused) as error:
        raise TensorDamaged(f"the header says nothing sensible: {error}") from error
    return header


@dataclass(frozen=True, slots=True)
class Frame:
    """One packed chunk. ``extra_bytes`` of the coded bytes are the form's own (int8 scales); the codec's come after.

    ``check_coded`` is summed here unless it is known already: bytes that were left as they are have one sum.
    """

    number: int
    codec: int
    form: int
    raw_bytes: int
    check_raw: int
    coded: bytes | memoryview = field(repr=False)
    extra_bytes: int = 0
    check_coded: int | None = None

    def pack(self) -> tuple[bytes, bytes | memoryview]:
        """Head and coded bytes, apart, so that nothing is copied."""
        checks = (self.check_raw, check(self.coded) if self.check_coded is None else self.check_coded)
        head = _FRAME.pack(
            b"AF", self.codec, self.form, self.number, self.raw_bytes, len(self.coded), self.extra_bytes, *checks, 0
        )
        return head[: -_CHECK.size] + _CHECK.pack(check(head[: -_CHECK.size])), self.coded


@dataclass(frozen=True, slots=True)
class FrameHead:
    """A frame's head, already found intact."""

    codec: int
    form: int
    number: int
    raw_bytes: int
    coded_bytes: int
    extra_bytes: int
    check_raw: int
    check_coded: int


def unpack_frame_head(packed: bytes | memoryview) -> FrameHead:
    """A frame's head from its 48 bytes. Raises TensorDamaged."""
    if len(packed) != FRAME_HEAD_BYTES:
        raise TensorDamaged("the stream ends inside a frame's head")
    magic, codec, form, number, raw_bytes, coded_bytes, extra, check_raw, check_coded, own = _FRAME.unpack(packed)
    if magic != b"AF" or own != check(packed[: -_CHECK.size]):
        raise TensorDamaged("a frame's head is altered")
    # A codec may store up to a little more than the values themselves; nothing honest is larger.
    if raw_bytes > CHUNK_MAX_BYTES or coded_bytes > 2 * raw_bytes + 4096 or extra > coded_bytes:
        raise TensorDamaged(f"frame {number} announces impossible lengths")
    return FrameHead(codec, form, number, raw_bytes, coded_bytes, extra, check_raw, check_coded)


def pack_index(offsets: Sequence[int], at: int) -> bytes:
    """Index and footer; ``at`` is where the index begins in the stream."""
    index = _INDEX.pack(b"AI", len(offsets)) + struct.pack(f"<{len(offsets)}Q", *offsets)
    index += _CHECK.pack(check(index))
    where = struct.pack("<Q", at)
    return index + _FOOTER.pack(at, check(where), b"AEND")


def index_length(chunks: int) -> int:
    """Bytes of the index of so many frames, its check included."""
    return _INDEX.size + 8 * chunks + _CHECK.size


def unpack_footer(packed: bytes | memoryview) -> int:
    """Where the index begins. Raises TensorDamaged when the stream was cut."""
    if len(packed) != FOOTER_BYTES:
        raise TensorDamaged("the stream is truncated: it has no footer")
    at, own, magic = _FOOTER.unpack(packed)
    if magic != b"AEND" or own != check(struct.pack("<Q", at)):
        raise TensorDamaged("the stream is truncated or altered: its footer is not where it should be")
    return int(at)


def unpack_index(packed: bytes | memoryview, chunks: int) -> tuple[int, ...]:
    """Offset of every frame. Raises TensorDamaged."""
    if len(packed) != index_length(chunks):
        raise TensorDamaged("the index is truncated")
    magic, count = _INDEX.unpack_from(packed)
    if magic != b"AI" or count != chunks or check(packed[: -_CHECK.size]) != _CHECK.unpack(packed[-_CHECK.size :])[0]:
        raise TensorDamaged("the index is altered")
    offsets: tuple[Any, ...] = struct.unpack(f"<{count}Q", packed[_INDEX.size : -_CHECK.size])
    return offsets

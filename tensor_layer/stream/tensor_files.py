"""One tensor as a file that can be mapped: a head, then on a page of their own the values. Called by `mapped_files`.

    "AOSM" version meta_bytes | meta (JSON) | xxh3-64 of both | zeros | values, from VALUES_AT on

Values that were written before this boot of the machine are proven at their first opening, since a power failure may
have kept some of them from the disk: by the digest that names them, or those handed over once by an xxh3-64 sum.
"""

import contextlib
import json
import mmap
import os
import struct
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from schemas.tensor import DType
from tensor_layer.errors import TensorDamaged
from tensor_layer.stream.tensor import STORED_AS, Tensor, identify, size_of, with_digest, with_name

VALUES_AT = 4096
"""The values begin on a page, so that they can be mapped."""

BLOCK_BYTES = 4 << 20
"""Written at once. Blocks of 256 KiB cost a third more: the kernel fills larger pages from larger writes."""

VERSION = 2
"""1 named values by SHA-256."""

_HEAD = struct.Struct("<4sHH")
_CHECK = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class FileHead:
    """What a file says of itself. By content its ``digest`` is known, for one handover its ``name`` and ``check``."""

    dtype: DType
    shape: tuple[int, ...]
    boot: str
    digest: str | None = None
    name: str | None = None
    check: int | None = None

    @property
    def tensor_id(self) -> str:
        """The id that the file's name must be."""
        return self.name or identify(self.dtype, self.shape, self.digest or "")

    def pack(self) -> bytes:
        """VALUES_AT bytes."""
        meta = json.dumps(asdict(self)).encode()
        head = _HEAD.pack(b"AOSM", VERSION, len(meta)) + meta
        return (head + _CHECK.pack(xxhash.xxh3_64_intdigest(head))).ljust(VALUES_AT, b"\0")


def this_boot() -> str:
    """Names the time since the machine was started."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def open_tensor(path: Path, tensor_id: str, boot: str) -> Tensor:
    """A read-only view of the file's values. Raises FileNotFoundError, TensorDamaged, TensorRefused."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size < VALUES_AT:
            raise TensorDamaged("the file ends inside its head")
        # Private: a torch view may be written to by mistake, and then changes neither the file nor other readers.
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    head = _unpack_head(mapping[:VALUES_AT])
    if size != VALUES_AT + size_of(head.dtype, head.shape) or head.tensor_id != tensor_id:
        raise TensorDamaged("the file is not the tensor that its name says, or not whole")
    array = values_in(mapping, head.dtype, head.shape)
    if head.boot != boot or not boot:
        _prove(array, head)
    array.flags.writeable = False
    if head.digest is None:
        return with_name(head.dtype, array, tensor_id)
    return with_digest(head.dtype, array, head.digest)


def values_in(mapping: mmap.mmap, dtype: DType, shape: tuple[int, ...]) -> NDArray[Any]:
    """The values of a mapped file as an array over the same memory."""
    if size_of(dtype, shape) == 0:  # numpy has no views of nothing at the end of a buffer
        return np.empty(shape, STORED_AS[dtype])
    return np.frombuffer(mapping, STORED_AS[dtype], offset=VALUES_AT).reshape(shape)


def sum_of(array: NDArray[Any]) -> int:
    """xxh3-64 of the values' bytes."""
    return xxhash.xxh3_64_intdigest(array.reshape(-1).view(np.uint8).data)


def write_tensor(descriptor: int, head: FileHead, content: memoryview) -> None:
    """Write values and head with plain writes, which cost half of what faulting in fresh pages does. What no digest
    names is summed, a block at a time, so that the second look at a block finds it in the cache.
    """
    sum_so_far = xxhash.xxh3_64()
    for start in range(0, len(content), BLOCK_BYTES):
        block = content[start : start + BLOCK_BYTES]
        if head.digest is None:
            sum_so_far.update(block)
        _write_all(descriptor, block, VALUES_AT + start)
    told = head if head.digest else replace(head, check=sum_so_far.intdigest())
    _write_all(descriptor, told.pack(), 0)


def _write_all(descriptor: int, content: bytes | memoryview, offset: int) -> None:
    left = memoryview(content)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written


def _unpack_head(head: bytes) -> FileHead:
    magic, version, length = _HEAD.unpack_from(head)
    end = _HEAD.size + length
    if magic != b"AOSM" or version != VERSION or end + _CHECK.size > len(head):
        raise TensorDamaged("the file has no head")
    if _CHECK.unpack_from(head, end)[0] != xxhash.xxh3_64_intdigest(head[:end]):
        raise TensorDamaged("the file's head is altered")
    told: dict[str, Any] = json.loads(head[_HEAD.size : end])
    return FileHead(**{**told, "shape": tuple(told["shape"])})


def _prove(array: NDArray[Any], head: FileHead) -> None:
    whole = (
        sum_of(array) == head.check if head.digest is None else Tensor(head.dtype, array).content_digest == head.digest
    )
    if not whole:
        raise TensorDamaged("its values are not those that were written")

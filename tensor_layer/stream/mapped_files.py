"""Tensors as memory-mapped files in one bounded folder: the cache's second level, and how processes share tensors.

The folder is the state. Any number of processes use it at once; it survives restarts and power failures. A file
appears whole, by rename. What rename cannot promise, that the values reached the disk before a power failure, is
checked by sum at the first opening in another boot of the machine. Evicting a file that is mapped somewhere is safe:
the mapping keeps its pages.
"""

import contextlib
import fcntl
import json
import logging
import mmap
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from schemas.base import is_token, new_id
from schemas.tensor import DType
from tensor_layer.errors import BlobStoreUnavailable, TensorDamaged, TensorRefused
from tensor_layer.stream.s3fifo import S3Fifo
from tensor_layer.stream.tensor import STORED_AS, Tensor, identify, size_of, with_digest, with_name

log = logging.getLogger(__name__)

VALUES_AT = 4096
"""The values begin on a page, so that they can be mapped."""

BLOCK_BYTES = 256 * 1024

_HEAD = struct.Struct("<4sHH")
_CHECK = struct.Struct("<Q")
_SUFFIX, _UNFINISHED = ".tensor", ".unfinished"


def this_boot() -> str:
    """Names the time since the machine was started."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


class MappedFiles:
    """A folder of at most ``capacity_bytes``; which file goes first is S3-FIFO's choice. Blocking; safe in threads."""

    def __init__(self, folder: Path, capacity_bytes: int, *, boot: str | None = None) -> None:
        self._folder = folder
        self._boot = this_boot() if boot is None else boot
        self._policy = S3Fifo(capacity_bytes)
        self._seen_ns: dict[str, int] = {}
        self._thread = threading.RLock()
        folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            self._reconcile()

    def get(self, tensor_id: str) -> Tensor | None:
        """A read-only view of the stored tensor, or None. A damaged file is removed and counts as absent."""
        path = self._path(tensor_id)
        try:
            tensor = self._open(path, tensor_id)
        except FileNotFoundError:
            return None
        except (TensorDamaged, TensorRefused) as error:
            log.warning("the stored tensor %s is damaged and was removed: %s", tensor_id, error)
            path.unlink(missing_ok=True)
            return None
        with self._thread, contextlib.suppress(FileNotFoundError):
            os.utime(path)  # tells other processes that this file is in use
            self._seen_ns[tensor_id] = path.stat().st_mtime_ns
            self._policy.use(tensor_id)
        return tensor

    def put(self, tensor: Tensor) -> Tensor:
        """Store a tensor and give back its mapped view. Idempotent. Raises TensorRefused when it can never fit."""
        kept = self.get(tensor.tensor_id)
        if kept is not None:
            return kept
        return self._write(tensor, tensor.tensor_id, tensor.content_digest)

    def put_once(self, tensor: Tensor) -> Tensor:
        """Store a tensor for one handover, under a name that is used only once: three times quicker than ``put``, since
        the values are copied and summed but not hashed. Nothing finds it by content; ``drop`` it when it is read.
        """
        return self._write(tensor, new_id(), None)

    def drop(self, tensor_id: str) -> None:
        """Remove a tensor. Whoever has mapped it keeps it."""
        self._path(tensor_id).unlink(missing_ok=True)

    @contextlib.contextmanager
    def draft(self, dtype: DType, shape: tuple[int, ...]) -> Iterator["Draft"]:
        """Room for a tensor whose values are written straight into the file, then sealed: nothing is copied.

        A draft that is left unsealed is thrown away. Raises TensorRefused, BlobStoreUnavailable (no room on disk).
        """
        path, locked = self._reserve(VALUES_AT + size_of(dtype, shape))
        made = Draft(self, path, locked, dtype, shape)
        try:
            yield made
        finally:
            made.close()

    @property
    def largest_bytes(self) -> int:
        """Values of the largest tensor that can be stored."""
        return self._policy.capacity_bytes - VALUES_AT

    def stat(self) -> dict[str, int]:
        """How many files, their bytes, and the most there may be."""
        with self._alone():
            self._reconcile()
            used, kept = self._policy.used_bytes, len(self._policy)
        return {"files": kept, "used_bytes": used, "capacity_bytes": self._policy.capacity_bytes}

    def ids(self) -> list[str]:
        """The ids of all tensors here."""
        return sorted(path.name.removesuffix(_SUFFIX) for path in self._folder.glob(f"*{_SUFFIX}"))

    def adopt(self, unfinished: Path, tensor_id: str) -> None:
        """Turn a written draft into the stored tensor. Called by ``Draft``."""
        with self._alone():
            unfinished.replace(self._path(tensor_id))
            self._reconcile()

    def describe(self, dtype: DType, shape: tuple[int, ...], digest: str | None, name: str, check: int) -> bytes:
        """The head of a file. Called by ``Draft``."""
        told = {"dtype": dtype, "shape": shape, "digest": digest, "boot": self._boot, "check": check, "name": name}
        meta = json.dumps(told).encode()
        head = _HEAD.pack(b"AOSM", 1, len(meta)) + meta
        return (head + _CHECK.pack(xxhash.xxh3_64_intdigest(head))).ljust(VALUES_AT, b"\0")

    def _path(self, tensor_id: str) -> Path:
        if not is_token(tensor_id):  # ids arrive over the bus: never let one name another folder
            raise TensorRefused(f"{tensor_id[:80]!r} is no tensor id")
        return self._folder / f"{tensor_id}{_SUFFIX}"

    def _open(self, path: Path, tensor_id: str) -> Tensor:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < VALUES_AT:
                raise TensorDamaged("the file ends inside its head")
            # Private: a torch view may be written to by mistake, and then changes neither the file nor other readers.
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        meta = _read_head(mapping[:VALUES_AT])
        dtype, shape = meta["dtype"], tuple(meta["shape"])
        digest = meta["digest"]
        named = meta["name"] if digest is None else identify(dtype, shape, digest)
        if size != VALUES_AT + size_of(dtype, shape) or named != tensor_id:
            raise TensorDamaged("the file is not the tensor that its name says, or not whole")
        array = _values(mapping, dtype, shape)
        if meta["boot"] != self._boot or not self._boot:
            self._prove(array, meta["check"])
        array.flags.writeable = False
        return with_name(dtype, array, tensor_id) if digest is None else with_digest(dtype, array, digest)

    @staticmethod
    def _prove(array: NDArray[Any], check: int) -> None:
        if xxhash.xxh3_64_intdigest(array.reshape(-1).view(np.uint8).data) != check:
            raise TensorDamaged("its values are not those that were written")

    def _write(self, tensor: Tensor, tensor_id: str, digest: str | None) -> Tensor:
        """Copy values into a new file: plain writes cost half of what faulting in fresh pages does."""
        path, locked = self._reserve(VALUES_AT + tensor.size_bytes, allocate=False)
        try:
            check = _write_summed(locked, tensor.content(), VALUES_AT)
            _write_all(locked, self.describe(tensor.dtype, tensor.shape, digest, tensor_id, check), 0)
            self.adopt(path, tensor_id)
        except OSError as error:
            raise BlobStoreUnavailable(f"the tensor cannot be written: {error.strerror}") from error
        finally:
            path.unlink(missing_ok=True)
            os.close(locked)
        return self.get(tensor_id) or with_name(tensor.dtype, tensor.array, tensor_id)

    def _reserve(self, size_bytes: int, *, allocate: bool = True) -> tuple[Path, int]:
        """An unfinished file of full size: from now on everyone counts its room as taken."""
        if size_bytes > self._policy.capacity_bytes:
            room = self._policy.capacity_bytes
            raise TensorRefused(f"{size_bytes} bytes do not fit the {room} bytes of the tensor folder")
        path = self._folder / f"{new_id()}{_UNFINISHED}"
        with self._alone():
            taken = self._reconcile()
            for tensor_id in self._policy.make_room(size_bytes + taken, self._used_elsewhere):
                self._path(tensor_id).unlink(missing_ok=True)
                self._seen_ns.pop(tensor_id, None)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o640)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if allocate:
                    os.posix_fallocate(descriptor, 0, size_bytes)  # a full disk says so now, not as SIGBUS later
                else:
                    os.ftruncate(descriptor, size_bytes)
            except OSError as error:
                os.close(descriptor)
                path.unlink()
                raise BlobStoreUnavailable(f"no room for {size_bytes} bytes of tensor: {error.strerror}") from error
        return path, descriptor

    def _reconcile(self) -> int:
        """Learn what other processes added and removed; the bytes of unfinished files. Called with the lock held."""
        present: dict[str, os.DirEntry[str]] = {}
        unfinished = 0
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(_SUFFIX):
                    present[entry.name.removesuffix(_SUFFIX)] = entry
                elif entry.name.endswith(_UNFINISHED):
                    unfinished += _unfinished_bytes(Path(entry.path))
        for gone in [key for key in self._policy if key not in present]:
            self._policy.remove(gone)
            self._seen_ns.pop(gone, None)
        new = [(entry.stat(), key) for key, entry in present.items() if key not in self._policy]
        for status, key in sorted(new, key=lambda item: item[0].st_mtime_ns):
            self._seen_ns[key] = status.st_mtime_ns
            for evicted in self._policy.admit(key, status.st_size, self._used_elsewhere) or ():
                self._path(evicted).unlink(missing_ok=True)
                self._seen_ns.pop(evicted, None)
        return unfinished

    def _used_elsewhere(self, tensor_id: str) -> bool:
        try:
            touched_ns = self._path(tensor_id).stat().st_mtime_ns
        except FileNotFoundError:
            return False
        return touched_ns > self._seen_ns.get(tensor_id, touched_ns)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep out other threads and processes; the kernel lets go of the lock when a holder dies."""
        with self._thread, (self._folder / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class Draft:
    """A tensor being written in place. ``array`` is writable until ``seal``."""

    def __init__(self, home: MappedFiles, path: Path, locked: int, dtype: DType, shape: tuple[int, ...]) -> None:
        self._home, self._path, self._locked, self._dtype = home, path, locked, dtype
        self._mapping = mmap.mmap(locked, 0, access=mmap.ACCESS_WRITE)
        self.array: NDArray[Any] = _values(self._mapping, dtype, shape)
        self._sealed = False

    def seal(self, content_digest: str | None = None) -> Tensor:
        """Make the tensor visible to everyone, under the id of its content. Nothing may be written to it any more."""
        digest = content_digest or Tensor(self._dtype, self.array).content_digest
        shape = tuple(int(length) for length in self.array.shape)
        return self._seal(identify(self._dtype, shape, digest), digest)

    def seal_once(self) -> Tensor:
        """The same for one handover: the name is new, the values are summed but not hashed."""
        return self._seal(new_id(), None)

    def _seal(self, tensor_id: str, digest: str | None) -> Tensor:
        shape = tuple(int(length) for length in self.array.shape)
        check = xxhash.xxh3_64_intdigest(self.array.reshape(-1).view(np.uint8).data)
        self._mapping[:VALUES_AT] = self._home.describe(self._dtype, shape, digest, tensor_id, check)
        self.array.flags.writeable = False
        self._home.adopt(self._path, tensor_id)
        self._sealed = True
        # The private view that readers get: nothing handed out can write to the file.
        return self._home.get(tensor_id) or with_name(self._dtype, self.array, tensor_id)

    def close(self) -> None:
        """Let go of the file; thrown away unless sealed."""
        if not self._sealed:
            self._path.unlink(missing_ok=True)
        os.close(self._locked)


def _write_all(descriptor: int, content: bytes | memoryview, offset: int) -> None:
    left = memoryview(content)
    while left:
        written = os.pwrite(descriptor, left, offset)
        left, offset = left[written:], offset + written


def _write_summed(descriptor: int, content: memoryview, offset: int) -> int:
    """Write, and give the xxh3-64 sum: a block at a time, so that the second look at it finds it in the cache."""
    sum_so_far = xxhash.xxh3_64()
    for start in range(0, len(content), BLOCK_BYTES):
        block = content[start : start + BLOCK_BYTES]
        sum_so_far.update(block)
        _write_all(descriptor, block, offset + start)
    return int(sum_so_far.intdigest())


def _read_head(head: bytes) -> dict[str, Any]:
    magic, version, length = _HEAD.unpack_from(head)
    end = _HEAD.size + length
    if magic != b"AOSM" or version != 1 or end + _CHECK.size > len(head):
        raise TensorDamaged("the file has no head")
    if _CHECK.unpack_from(head, end)[0] != xxhash.xxh3_64_intdigest(head[:end]):
        raise TensorDamaged("the file's head is altered")
    told: dict[str, Any] = json.loads(head[_HEAD.size : end])
    return told


def _values(mapping: mmap.mmap, dtype: DType, shape: tuple[int, ...]) -> NDArray[Any]:
    if size_of(dtype, shape) == 0:  # numpy has no views of nothing at the end of a buffer
        return np.empty(shape, STORED_AS[dtype])
    return np.frombuffer(mapping, STORED_AS[dtype], offset=VALUES_AT).reshape(shape)


def _unfinished_bytes(path: Path) -> int:
    """What a file being written takes; one whose writer died (its lock is free) is removed."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
            return 0
    except BlockingIOError:
        return path.stat().st_size if path.exists() else 0
    except FileNotFoundError:
        return 0

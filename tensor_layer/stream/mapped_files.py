"""Tensors as memory-mapped files in one bounded folder: the cache's second level, and how processes share tensors.

Any number of processes use the folder at once (`shared_folder`); it survives restarts and power failures
(`tensor_files`). A file appears whole or not at all.
"""

import contextlib
import logging
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from schemas.base import new_id
from schemas.tensor import DType
from tensor_layer.errors import BlobStoreUnavailable, TensorDamaged, TensorRefused
from tensor_layer.stream.shared_folder import SharedFolder
from tensor_layer.stream.tensor import Tensor, size_of, with_name
from tensor_layer.stream.tensor_files import (
    VALUES_AT,
    FileHead,
    open_tensor,
    sum_of,
    this_boot,
    values_in,
    write_tensor,
)

log = logging.getLogger(__name__)


class MappedFiles:
    """A folder of at most ``capacity_bytes``; which file goes first is S3-FIFO's choice. Blocking; safe in threads."""

    def __init__(self, folder: Path, capacity_bytes: int, *, boot: str | None = None) -> None:
        self._folder = SharedFolder(folder, capacity_bytes)
        self._boot = this_boot() if boot is None else boot

    def get(self, tensor_id: str) -> Tensor | None:
        """A read-only view of the stored tensor, or None. A damaged file is removed and counts as absent."""
        path = self._folder.path(tensor_id)
        try:
            tensor = open_tensor(path, tensor_id, self._boot)
        except FileNotFoundError:
            return None
        except (TensorDamaged, TensorRefused) as error:
            log.warning("the stored tensor %s is damaged and was removed: %s", tensor_id, error)
            path.unlink(missing_ok=True)
            return None
        self._folder.used(tensor_id)
        return tensor

    def put(self, tensor: Tensor) -> Tensor:
        """Store a tensor and give back its mapped view. Idempotent.

        Raises TensorRefused when it can never fit, BlobStoreUnavailable when there is no room on disk.
        """
        kept = self.get(tensor.tensor_id)
        if kept is not None:
            return kept
        return self._write(tensor, FileHead(tensor.dtype, tensor.shape, self._boot, digest=tensor.content_digest))

    def put_once(self, tensor: Tensor) -> Tensor:
        """Store a tensor for one handover, under a name that is used only once: twice as quick as ``put``, since
        the values are copied and summed but not hashed. Nothing finds it by content; ``drop`` it when it is read.
        """
        return self._write(tensor, FileHead(tensor.dtype, tensor.shape, self._boot, name=new_id()))

    def drop(self, tensor_id: str) -> None:
        """Remove a tensor. Whoever has mapped it keeps it."""
        self._folder.drop(tensor_id)

    @contextlib.contextmanager
    def draft(self, dtype: DType, shape: tuple[int, ...]) -> Iterator["Draft"]:
        """Room for a tensor whose values are written straight into the file, then sealed: nothing is copied.

        A draft that is left unsealed is thrown away. Raises TensorRefused, BlobStoreUnavailable (no room on disk).
        """
        path, locked = self._folder.reserve(VALUES_AT + size_of(dtype, shape))
        made = Draft(self, path, locked, dtype, shape)
        try:
            yield made
        finally:
            made.close()

    @property
    def boot(self) -> str:
        """In which boot of the machine files are written."""
        return self._boot

    @property
    def largest_bytes(self) -> int:
        """Values of the largest tensor that can be stored."""
        return self._folder.capacity_bytes - VALUES_AT

    def stat(self) -> dict[str, int]:
        """How many files, their bytes, and the most there may be."""
        return self._folder.stat()

    def ids(self) -> list[str]:
        """The ids of all tensors here."""
        return self._folder.ids()

    def adopt(self, unfinished: Path, tensor_id: str) -> Tensor | None:
        """Turn a written draft into the stored tensor: the private view that readers get. Called by ``Draft``."""
        self._folder.adopt(unfinished, tensor_id)
        return self.get(tensor_id)

    def _write(self, tensor: Tensor, head: FileHead) -> Tensor:
        path, locked = self._folder.reserve(VALUES_AT + tensor.size_bytes)
        try:
            write_tensor(locked, head, tensor.content())
            kept = self.adopt(path, head.tensor_id)
        except OSError as error:
            raise BlobStoreUnavailable(f"the tensor cannot be written: {error.strerror}") from error
        finally:
            path.unlink(missing_ok=True)
            os.close(locked)
        return kept or with_name(tensor.dtype, tensor.array, head.tensor_id)


class Draft:
    """A tensor being written in place. ``array`` is writable until ``seal``."""

    def __init__(self, home: MappedFiles, path: Path, locked: int, dtype: DType, shape: tuple[int, ...]) -> None:
        self._home, self._path, self._locked, self._dtype = home, path, locked, dtype
        self._mapping = mmap.mmap(locked, 0, access=mmap.ACCESS_WRITE)
        self.array: NDArray[Any] = values_in(self._mapping, dtype, shape)
        self._shape = tuple(int(length) for length in shape)
        self._sealed = False

    def seal(self, content_digest: str | None = None) -> Tensor:
        """Make the tensor visible to everyone, under the id of its content. Nothing may be written to it any more."""
        digest = content_digest or Tensor(self._dtype, self.array).content_digest
        return self._seal(FileHead(self._dtype, self._shape, self._home.boot, digest=digest))

    def seal_once(self) -> Tensor:
        """The same for one handover: the name is new, the values are summed but not hashed."""
        return self._seal(FileHead(self._dtype, self._shape, self._home.boot, name=new_id(), check=sum_of(self.array)))

    def _seal(self, head: FileHead) -> Tensor:
        self._mapping[:VALUES_AT] = head.pack()
        self.array.flags.writeable = False
        kept = self._home.adopt(self._path, head.tensor_id)
        self._sealed = True
        return kept or with_name(self._dtype, self.array, head.tensor_id)

    def close(self) -> None:
        """Let go of the file; thrown away unless sealed."""
        if not self._sealed:
            self._path.unlink(missing_ok=True)
        os.close(self._locked)

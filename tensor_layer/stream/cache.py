"""The two-level cache: tensors in memory, behind it memory-mapped files. Called by `fetching` and `processor`.

Keys are tensor ids, which name their content: a kept tensor is never stale, and the same one is never kept twice.
"""

import threading
from dataclasses import dataclass

from tensor_layer.stream.mapped_files import MappedFiles
from tensor_layer.stream.s3fifo import S3Fifo
from tensor_layer.stream.tensor import Tensor

MAPPED_FROM_BYTES = 64 * 1024
"""Smaller tensors stay on the heap: a file, a page of head and two system calls would cost more than the copy."""


@dataclass(frozen=True, slots=True)
class CacheCounts:
    """What the cache did since it was made."""

    memory_hits: int
    file_hits: int
    misses: int
    memory_bytes: int
    memory_capacity_bytes: int


class TensorCache:
    """Safe in threads; the files also across processes. ``get`` may map a file, ``put`` may write one."""

    def __init__(self, memory_bytes: int, files: MappedFiles | None = None) -> None:
        self._policy = S3Fifo(memory_bytes)
        self._kept: dict[str, Tensor] = {}
        self._files = files
        self._lock = threading.Lock()
        self._memory_hits = self._file_hits = self._misses = 0

    def in_memory(self, tensor_id: str) -> Tensor | None:
        """The tensor if it is in memory: microseconds, never blocks."""
        with self._lock:
            if self._policy.use(tensor_id):
                self._memory_hits += 1
                return self._kept[tensor_id]
        return None

    def in_files(self, tensor_id: str) -> Tensor | None:
        """The tensor if it is in the files; from now on in memory too. Blocking."""
        tensor = self._files.get(tensor_id) if self._files else None
        with self._lock:
            self._file_hits += tensor is not None
            self._misses += tensor is None
        if tensor is not None:
            self._keep(tensor)
        return tensor

    def get(self, tensor_id: str) -> Tensor | None:
        """The tensor from whichever level has it. Blocking."""
        return self.in_memory(tensor_id) or self.in_files(tensor_id)

    def put(self, tensor: Tensor) -> Tensor:
        """Keep a tensor in both levels; gives the view to go on with. Blocking. A tensor too large is not kept."""
        if self._files and MAPPED_FROM_BYTES <= tensor.size_bytes <= self._files.largest_bytes:
            tensor = self._files.put(tensor)
        self._keep(tensor)
        return tensor

    def holds(self, tensor_id: str) -> bool:
        """Whether memory has it; asking is no use."""
        with self._lock:
            return tensor_id in self._policy

    def counts(self) -> CacheCounts:
        """Hits, misses and bytes."""
        with self._lock:
            return CacheCounts(
                self._memory_hits,
                self._file_hits,
                self._misses,
                self._policy.used_bytes,
                self._policy.capacity_bytes,
            )

    def _keep(self, tensor: Tensor) -> None:
        with self._lock:
            gone = self._policy.admit(tensor.tensor_id, max(tensor.size_bytes, 1))
            if gone is None:
                return
            self._kept[tensor.tensor_id] = tensor
            for tensor_id in gone:
                del self._kept[tensor_id]

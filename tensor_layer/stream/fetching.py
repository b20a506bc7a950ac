"""Gets tensors by id: from the cache, from what was prefetched, or from a slower source. Called by `processor`.

What was prefetched waits beside the cache, not in it: S3-FIFO would take a thing not yet used for one that never is.
"""

import asyncio
from dataclasses import dataclass
from typing import Protocol

from tensor_layer.stream.cache import TensorCache
from tensor_layer.stream.prefetch import Prefetch, PrefetchCounts
from tensor_layer.stream.tensor import Tensor


class TensorSource(Protocol):
    """Where tensors come from that no cache has. Safe for concurrent use; cancelling a fetch leaves no trace."""

    async def fetch(self, tensor_id: str) -> Tensor:
        """The tensor. Raises TensorNotFound, and its own errors of reaching."""
        ...


@dataclass(slots=True)
class FetchCounts:
    """How uses were served: at once, after waiting for a prefetch under way, or by fetching then."""

    at_once: int = 0
    waited: int = 0
    fetched: int = 0

    @property
    def hit_share(self) -> float:
        """Uses that did not have to start a fetch of their own."""
        uses = self.at_once + self.waited + self.fetched
        return (self.at_once + self.waited) / uses if uses else 0.0


class Fetching:
    """One caller's way to tensors. At most one fetch of a tensor at a time, whoever asks. One event loop."""

    def __init__(self, source: TensorSource, cache: TensorCache, prefetch: Prefetch | None = None) -> None:
        self.counts = FetchCounts()
        self._source = source
        self._cache = cache
        self._prefetch = prefetch
        self._waiting: dict[str, Tensor] = {}
        self._under_way: dict[str, asyncio.Task[Tensor]] = {}

    async def get(self, tensor_id: str) -> Tensor:
        """The tensor. Raises TensorNotFound and whatever the source raises."""
        if self._prefetch is not None:
            self._prefetch.used(tensor_id)
            self._look_ahead(self._prefetch)
        tensor = self._cache.in_memory(tensor_id)
        if tensor is not None:
            self.counts.at_once += 1
            return tensor
        tensor = self._waiting.pop(tensor_id, None)
        if tensor is not None:
            self.counts.at_once += 1
            return await self._keep(tensor)
        return await self._join_or_fetch(tensor_id)

    async def close(self) -> None:
        """Stop what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._waiting.clear()

    def prefetch_counts(self) -> PrefetchCounts:
        """How prefetches ended."""
        return self._prefetch.counts if self._prefetch else PrefetchCounts()

    async def _join_or_fetch(self, tensor_id: str) -> Tensor:
        task = self._under_way.get(tensor_id)
        if task is not None:
            self.counts.waited += 1
        else:
            self.counts.fetched += 1
            task = self._start(tensor_id)
        # One caller that gives up must not take the tensor away from the others.
        tensor = await asyncio.shield(task)
        self._waiting.pop(tensor_id, None)
        return await self._keep(tensor)

    async def _keep(self, tensor: Tensor) -> Tensor:
        return await asyncio.to_thread(self._cache.put, tensor)

    def _start(self, tensor_id: str) -> asyncio.Task[Tensor]:
        task = asyncio.create_task(self._load(tensor_id))
        self._under_way[tensor_id] = task
        task.add_done_callback(lambda done: self._done(tensor_id, done))
        return task

    async def _load(self, tensor_id: str) -> Tensor:
        stored = await asyncio.to_thread(self._cache.in_files, tensor_id)
        return stored if stored is not None else await self._source.fetch(tensor_id)

    def _done(self, tensor_id: str, task: asyncio.Task[Tensor]) -> None:
        self._under_way.pop(tensor_id, None)
        if self._prefetch is None:
            return
        failed = task.cancelled() or task.exception() is not None
        if failed:
            self._prefetch.failed(tensor_id)
        elif self._prefetch.arrived(tensor_id):
            self._waiting[tensor_id] = task.result()

    def _look_ahead(self, prefetch: Prefetch) -> None:
        for tensor_id in prefetch.wanted(self._cache):
            if tensor_id in self._under_way:
                continue
            for unused in prefetch.started(tensor_id):
                self._waiting.pop(unused, None)
            self._start(tensor_id)

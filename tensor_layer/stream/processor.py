"""`process_stream`: tensors in, messages out, in order, in bounded memory. And the way back, with cache and prefetch.

Composed of the other modules; built by whoever has tensors to move (`gateway.cli.tensor`, perception, user services).
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from schemas.tensor import TensorMessage
from tensor_layer.errors import TensorDamaged, TensorNotFound
from tensor_layer.stream import handoff
from tensor_layer.stream.cache import TensorCache
from tensor_layer.stream.choice import STREAMING, Budget
from tensor_layer.stream.contest import Contest
from tensor_layer.stream.fetching import Fetching, TensorSource
from tensor_layer.stream.gru import Gru
from tensor_layer.stream.lossy import Lossy
from tensor_layer.stream.mapped_files import MappedFiles
from tensor_layer.stream.markov import Markov
from tensor_layer.stream.packed_files import PackedFacts, PackedFiles
from tensor_layer.stream.prefetch import Prefetch
from tensor_layer.stream.tensor import Tensor

IN_FLIGHT = 2
"""Tensors packed at once: one is waited for while the next is made ready."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Bounds of one processor. The mapped folder is shared: every process over it must be told the same bound."""

    memory_bytes: int = 256 << 20
    mapped_bytes: int = 4 << 30
    prefetched_tensors: int = 4
    budget: Budget = STREAMING


class TensorStreamProcessor:
    """Moves tensors between processes of one machine by reference, and to and from the cold folder packed."""

    def __init__(self, folder: Path, limits: StreamLimits | None = None, *, source: TensorSource | None = None) -> None:
        self._limits = limits or StreamLimits()
        self._files = MappedFiles(folder / "mapped", self._limits.mapped_bytes)
        self._packed = PackedFiles(folder / "packed")
        self._cache = TensorCache(self._limits.memory_bytes, self._files)
        waiting = self._limits.prefetched_tensors
        prefetch = Prefetch(Contest(Markov(), Gru()), waiting) if waiting else None
        self._fetching = Fetching(source or self._packed, self._cache, prefetch)
        self._last: dict[tuple[str, tuple[int, ...]], str] = {}

    async def process_stream(
        self, tensors: AsyncIterable[Tensor], *, keep: bool = True
    ) -> AsyncIterator[TensorMessage]:
        """One message a tensor, in order; at most three tensors are in work. ``keep`` also packs each into the cold
        folder, as a delta to the last one of its dtype and shape where that is smaller.
        """
        ready: deque[asyncio.Task[TensorMessage]] = deque()
        try:
            async for tensor in tensors:
                ready.append(asyncio.create_task(self._process(tensor, keep=keep)))
                if len(ready) > IN_FLIGHT:
                    yield await ready.popleft()
            while ready:
                yield await ready.popleft()
        finally:
            for task in ready:
                task.cancel()

    async def open(self, message: TensorMessage) -> Tensor:
        """The tensor of a message: by reference when its file is here, else from the cold folder.

        Raises TensorNotFound, TensorDamaged.
        """
        try:
            return await asyncio.to_thread(handoff.accept, message, self._files)
        except TensorNotFound:
            tensor = await self.get(message.tensor_id)
        if (tensor.dtype, tensor.shape) != (message.dtype, message.shape):
            raise TensorDamaged(f"message and content of tensor {message.tensor_id} differ")
        return tensor

    async def put(self, tensor: Tensor, *, reference: str | None = None, lossy: Lossy | None = None) -> PackedFacts:
        """Keep a tensor: packed in the cold folder and, unless rounded, in the cache."""
        facts = await self._packed.store(tensor, budget=self._limits.budget, lossy=lossy, reference=reference)
        if facts.tensor_id == tensor.tensor_id:
            await asyncio.to_thread(self._cache.put, tensor)
        return facts

    async def get(self, tensor_id: str) -> Tensor:
        """A kept tensor: cache, prefetched, source. Raises TensorNotFound, TensorDamaged."""
        return await self._fetching.get(tensor_id)

    async def stat(self) -> dict[str, Any]:
        """What the levels hold and how uses were served."""
        return {
            "mapped": await asyncio.to_thread(self._files.stat),
            "cache": asdict(self._cache.counts()),
            "fetches": {**asdict(self._fetching.counts), "hit_share": round(self._fetching.counts.hit_share, 4)},
            "prefetch": asdict(self._fetching.prefetch_counts()),
        }

    async def close(self) -> None:
        """Stop prefetching."""
        await self._fetching.close()

    async def _process(self, tensor: Tensor, *, keep: bool) -> TensorMessage:
        if keep:
            kind = (tensor.dtype, tensor.shape)
            reference = self._last.get(kind)
            await self._packed.store(tensor, budget=self._limits.budget, reference=reference)
            self._last[kind] = tensor.tensor_id
        return await asyncio.to_thread(handoff.offer, tensor, self._files)

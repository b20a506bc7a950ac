"""Parts become vectors: bytes found, decoded, batched, remembered by content. What perception asks for pictures and
sounds; in the perception service, in front of ``batching``.
"""

import asyncio
import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Generic

import numpy as np

from schemas.parts import Part
from tensor_layer.encoding.batching import BatchingEncoder
from tensor_layer.errors import BlobStoreUnavailable, UnreadablePart
from tensor_layer.inspection.content import Damaged
from tensor_layer.ports import Blobs, Content, Discerned, EncoderCard, Vector

ENTRIES_MAX = 8_192
DECODED_MAX = 32
"""So many contents of one modality wait decoded for the device; the others wait as bytes."""
DECODING_MAX = 2
"""So many are decoded at once: in between, a picture of 50 million pixels takes 0.2 to 0.4 GB."""


class LocalPartEncoder(Generic[Content]):
    """Implements ``ports.PartEncoder`` over an encoder in this process. Belongs to one event loop.

    Content that was seen costs a hash; content that is being encoded for somebody is not encoded twice.
    """

    def __init__(
        self,
        blobs: Blobs,
        encoder: BatchingEncoder[Content],
        decode: Callable[[bytes | Path], Content],
        *,
        entries: int = ENTRIES_MAX,
        decoded: int = DECODED_MAX,
    ) -> None:
        self._blobs = blobs
        self._encoder = encoder
        self._decode = decode
        self._entries = entries
        self._room = asyncio.Semaphore(decoded)
        self._turns = asyncio.Semaphore(DECODING_MAX)
        self._kept: OrderedDict[str, Discerned] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[Discerned]] = {}

    @property
    def card(self) -> EncoderCard:
        """Which weights make the vectors."""
        return self._encoder.card

    async def encode(self, parts: Sequence[Part]) -> Vector:
        """(len(parts), dimension) float32, rows unit-norm. See ``ports.PartEncoder`` for what it raises."""
        if not parts:
            return np.zeros((0, self.card.version.dimension), dtype=np.float32)
        return np.stack([discerned.vector for discerned in await self.discern(parts)])

    async def discern(self, parts: Sequence[Part]) -> Sequence[Discerned]:
        """Implements ``ports.DiscerningPartEncoder``."""
        return await asyncio.gather(*map(self._row, range(len(parts)), parts))

    async def _row(self, index: int, part: Part) -> Discerned:
        content = part.inline_bytes()
        digest = part.ref.digest if part.ref is not None else f"sha256:{hashlib.sha256(content or b'').hexdigest()}"
        kept = self._kept.get(digest)
        if kept is not None:
            self._kept.move_to_end(digest)
            return kept
        task = self._under_way.get(digest)
        if task is None:
            # A task of its own: the first caller may be cancelled, the others still want the vector.
            task = self._under_way[digest] = asyncio.create_task(self._encoded(digest, part, content))
            task.add_done_callback(partial(self._arrived, digest))
        try:
            return await asyncio.shield(task)
        except Damaged as damage:
            raise UnreadablePart(index, damage.problem, damage.next_step, part.name) from damage

    def _arrived(self, digest: str, task: asyncio.Task[Discerned]) -> None:
        del self._under_way[digest]
        if not task.cancelled():
            task.exception()  # everybody who asked may be gone; then nobody else takes it

    async def _encoded(self, digest: str, part: Part, content: bytes | None) -> Discerned:
        source: bytes | Path = content if content is not None else b""
        if part.ref is not None:
            source = await self._blobs.local_path(part.ref)
        async with self._room:
            async with self._turns:
                decoded = await self._decoded(source)
            row: Vector = (await self._encoder.encode_discerning([decoded]))[0]
        vector, familiarity = row[:-1].copy(), float(row[-1])
        vector.setflags(write=False)
        discerned = self._kept[digest] = Discerned(vector, None if math.isnan(familiarity) else familiarity)
        if len(self._kept) > self._entries:
            self._kept.popitem(last=False)
        return discerned

    async def _decoded(self, source: bytes | Path) -> Content:
        try:
            return await asyncio.to_thread(self._decode, source)
        except OSError as error:
            raise BlobStoreUnavailable(f"the local copy of an attachment is gone: {error}") from error

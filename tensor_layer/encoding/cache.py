"""Remembers vectors by content in front of any text encoder. What `agents` and the perception service talk to."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from schemas.percept import EncoderVersion
from tensor_layer.ports import TextEncoder, Vector
from tensor_layer.spoken import spoken

ENTRIES_MAX = 16_384
"""About 28 MB of 384-d vectors."""


class CachedTextEncoder:
    """Implements ``ports.TextEncoder`` over another one. Belongs to one event loop.

    A text that is there costs microseconds and no thread. A text that is being encoded for somebody is not encoded
    twice. The least recently used goes first.
    """

    def __init__(self, encoder: TextEncoder, entries: int = ENTRIES_MAX) -> None:
        self._encoder = encoder
        self._entries = entries
        self._vectors: OrderedDict[bytes, Vector] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[dict[bytes, Vector]]] = {}

    @property
    def version(self) -> EncoderVersion:
        """Which weights make the vectors."""
        return self._encoder.version

    async def encode(self, texts: Sequence[str]) -> Vector:
        """(len(texts), dimension) float32, rows unit-norm, read-only. Raises EncoderUnavailable."""
        keys = [_key(text) for text in texts]
        rows = {key: vector for key in keys if (vector := self._kept(key)) is not None}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in rows}
        if missing:
            rows.update(await self._encoded(missing))
        if not keys:
            return np.zeros((0, self.version.dimension), dtype=np.float32)
        found = rows[keys[0]][None] if len(keys) == 1 else np.stack([rows[key] for key in keys])
        found.setflags(write=False)
        return found

    def _kept(self, key: bytes) -> Vector | None:
        vector = self._vectors.get(key)
        if vector is not None:
            self._vectors.move_to_end(key)
        return vector

    async def _encoded(self, missing: dict[bytes, str]) -> dict[bytes, Vector]:
        """The vectors of texts that are not kept, each asked for once however many wait for it."""
        mine = {key: text for key, text in missing.items() if key not in self._under_way}
        tasks = {key: self._under_way[key] for key in missing if key not in mine}
        if mine:
            # A task of its own: the first caller may be cancelled, the others still want the vectors.
            task = asyncio.create_task(self._encode_and_keep(mine))
            tasks |= dict.fromkeys(mine, task)
            self._under_way |= dict.fromkeys(mine, task)
            task.add_done_callback(lambda _: [self._under_way.pop(key) for key in mine])
        return {key: (await asyncio.shield(task))[key] for key, task in tasks.items()}

    async def _encode_and_keep(self, texts: dict[bytes, str]) -> dict[bytes, Vector]:
        vectors = await self._encoder.encode(list(texts.values()))
        rows = {key: vectors[index].copy() for index, key in enumerate(texts)}
        for key, vector in rows.items():
            vector.setflags(write=False)
            self._vectors[key] = vector
        while len(self._vectors) > self._entries:
            self._vectors.popitem(last=False)
        return rows


def _key(text: str) -> bytes:
    return hashlib.blake2b(spoken(text).encode(), digest_size=16).digest()

"""Who reads which shard of the embedded index. Called by the edge index, within one event loop."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from agents.registry.skill_index.shard import Shard


class Readers:
    """Who reads which shard, so that none is closed while it is read."""

    def __init__(self) -> None:
        self._reading: Counter[Shard] = Counter()
        self._waiting: dict[Shard, asyncio.Event] = {}

    @contextmanager
    def of(self, shard: Shard) -> Iterator[Shard]:
        """Reads the shard within."""
        self._reading[shard] += 1
        try:
            yield shard
        finally:
            self._reading[shard] -= 1
            if not self._reading[shard]:
                del self._reading[shard]
                if waiting := self._waiting.get(shard):
                    waiting.set()

    async def left(self, shard: Shard) -> None:
        """Returns once nobody reads the shard. Nobody may begin to."""
        if shard in self._reading:
            await self._waiting.setdefault(shard, asyncio.Event()).wait()
            del self._waiting[shard]

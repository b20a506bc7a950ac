"""Attachments and results leave the object store once nothing names them and nobody used them for long.

The gateway runs it, any number of them at the same time. What a task that waits, runs or may be done again needs is
named on the bus, in its message, its checkpoints or its record, and so is what a dead letter or a policy needs.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta

from agents.errors import BusUnavailable
from evolution.errors import EvolutionError
from gateway.keeping.references import References
from schemas.base import now
from tensor_layer.errors import TensorLayerError
from tensor_layer.storage.unused import UnusedContents

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """How many contents are gone, and their size."""

    contents: int = 0
    size_bytes: int = 0


class ContentSweep:
    """``unused_s``: how long after a content was stored, or last used, nobody removes it whatever names it."""

    def __init__(self, references: References, contents: UnusedContents, unused_s: float, every_s: float) -> None:
        self._references = references
        self._contents = contents
        self._unused = timedelta(seconds=unused_s)
        self._every_s = every_s

    async def run(self) -> None:
        """Sweep now and again until cancelled; never where ``every_s`` is 0. Survives every outage."""
        while self._every_s > 0:
            try:
                swept = await self.sweep()
            except (BusUnavailable, TensorLayerError, EvolutionError) as error:
                logger.warning("unused contents stay in the object store for now: %s", error)
            else:
                if swept.contents:
                    logger.info(
                        "removed %d contents that nothing names, %.1f MiB", swept.contents, swept.size_bytes / 2**20
                    )
            await asyncio.sleep(self._every_s)

    async def sweep(self) -> Swept:
        """Once. Raises BusUnavailable, BlobStoreUnavailable; ContentsOfAnother, PolicyDamaged: nothing is removed."""
        await self._contents.claim(await self._references.bus())
        since = now() - self._unused
        await self._contents.settle(since)
        old = {digest async for digest in self._contents.older(since)}
        named = await self._references.among(old) if old else set()
        sizes = [await self._contents.remove(digest, since) for digest in sorted(old - named)]
        gone = [size for size in sizes if size is not None]
        return Swept(len(gone), sum(gone))

"""Takes out of the buckets, for good, what was removed from them long ago. The gateway runs it.

A removed key leaves a marker, so that whoever follows the bucket hears of it, and an agent its history. Left alone they
are never gone: a fleet whose agents come and go under new names fills the registry one day, and then no agent can be
registered any more. Any number of gateways may sweep at the same time.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from datetime import timedelta

from nats.aio.client import Client
from nats.js import JetStreamContext

from agents.errors import BusUnavailable
from agents.registry.kv_feed import stream_of, subject_of
from gateway.bus.clearing import Clearing
from gateway.bus.stream_reader import StreamReader
from schemas.base import now
from schemas.subjects import BUCKET_AGENTS, BUCKET_PATTERNS, BUCKET_PLANS

logger = logging.getLogger(__name__)

HOUR_S, DAY_S = 3_600.0, 86_400.0
KEPT_S: Mapping[str, float] = {BUCKET_AGENTS: 30 * DAY_S, BUCKET_PLANS: HOUR_S, BUCKET_PATTERNS: HOUR_S}
"""How long a removed key can be asked for, by bucket, in seconds: whoever was away meanwhile lists the bucket again."""
CROWDED_S = HOUR_S
"""The same in a bucket that is ``CROWDED_SHARE`` full: what is there comes before what was."""
CROWDED_SHARE = 0.8


class RemovedKeys:
    """One sweep looks at the oldest part of each bucket only, in which nothing is younger than what it removes."""

    def __init__(
        self, nc: Client, js: JetStreamContext, kept_s: Mapping[str, float] = KEPT_S, every_s: float = HOUR_S
    ) -> None:
        self._nc = nc
        self._js = js
        self._kept_s = kept_s
        self._every_s = every_s

    async def run(self) -> None:
        """Sweep now and again until cancelled; survives every outage of the bus."""
        while True:
            try:
                swept = await self.sweep()
            except BusUnavailable as error:
                logger.warning("removed keys cannot be swept out of the buckets just now: %s", error)
            else:
                if swept:
                    logger.info("swept %d keys out of the buckets, which were removed long ago", swept)
            await asyncio.sleep(self._every_s)

    async def sweep(self) -> int:
        """All buckets; the number of keys that are gone for good. Raises BusUnavailable."""
        return sum([await self._sweep(bucket, kept_s) for bucket, kept_s in self._kept_s.items()])

    async def _sweep(self, bucket: str, kept_s: float) -> int:
        clearing = Clearing(self._js, stream_of(bucket))
        size_bytes, quota_bytes = await clearing.fill()
        if size_bytes >= CROWDED_SHARE * quota_bytes:
            kept_s = min(kept_s, CROWDED_S)
        markers = await self._markers(bucket, kept_s)
        await clearing.purge_each(markers.items())
        return len(markers)

    async def _markers(self, bucket: str, kept_s: float) -> dict[str, int]:
        """The newest marker of each key that was removed so long ago, by its subject."""
        young = now() - timedelta(seconds=kept_s)
        found: dict[str, int] = {}
        reader = StreamReader(self._nc, stream_of(bucket))
        async with aclosing(reader.since(1, subject_of(bucket, ">"))) as messages:
            async for stored in messages:
                if stored.stored_at > young:
                    break
                if stored.deleted:
                    found[stored.subject] = stored.seq
        return found

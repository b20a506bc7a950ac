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

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from agents.errors import BusUnavailable
from agents.registry.kv_feed import stream_of, subject_of
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
_AT_ONCE = 64


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
        markers = await self._markers(bucket, min(kept_s, CROWDED_S) if await self._is_crowded(bucket) else kept_s)
        subjects = list(markers)
        for start in range(0, len(subjects), _AT_ONCE):
            batch = subjects[start : start + _AT_ONCE]
            await asyncio.gather(*(self._purge(bucket, subject, markers[subject]) for subject in batch))
        return len(markers)

    async def _is_crowded(self, bucket: str) -> bool:
        try:
            info = await self._js.stream_info(stream_of(bucket))
        except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
            raise BusUnavailable(f"bucket {bucket} cannot be looked at: {error!r}") from error
        return info.state.bytes >= CROWDED_SHARE * max(info.config.max_bytes or 0, 1)

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

    async def _purge(self, bucket: str, subject: str, marker: int) -> None:
        """The marker and all before it. Whatever the key was given since has a higher sequence and stays."""
        try:
            await self._js.purge_stream(stream_of(bucket), seq=marker + 1, subject=subject)
        except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
            raise BusUnavailable(f"a removed key cannot be swept out of bucket {bucket}: {error!r}") from error

"""Keeps the bucket of task records below its quota: the oldest records of ended tasks make room. The gateway runs it.

The bucket refuses what does not fit (it must never forget a task that waits for a person), and its records live for
days, so a busy gateway would fill it long before they expire. Any number of gateways may tidy at the same time: a
record that another one has removed is no error.
"""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import orjson
from nats.aio.client import Client
from nats.js import JetStreamContext

from agents.errors import BusUnavailable
from gateway.bus.clearing import Clearing
from gateway.bus.stream_reader import Stored, StreamReader
from schemas.base import now
from schemas.subjects import BUCKET_TASKS
from schemas.task import TaskState

logger = logging.getLogger(__name__)

_STREAM = f"KV_{BUCKET_TASKS}"


@dataclass(frozen=True, slots=True)
class HousekeepingLimits:
    """Shares of the bucket's quota. ``keep_s`` is the least time that an ended task can be asked for, in seconds:
    longer than its message could come again, so that nothing is done twice.
    """

    every_s: float = 10.0
    start_share: float = 0.8
    end_share: float = 0.7
    keep_s: float = 300.0


class _Ended(NamedTuple):
    seq: int
    subject: str


class RecordHousekeeper:
    """Removes records of ended tasks, oldest first, while the bucket is fuller than it should be."""

    def __init__(self, nc: Client, js: JetStreamContext, limits: HousekeepingLimits | None = None) -> None:
        self._clearing = Clearing(js, _STREAM)
        self._reader = StreamReader(nc, _STREAM)
        self._limits = limits or HousekeepingLimits()

    async def run(self) -> None:
        """Tidy now and again until cancelled; survives every outage of the bus."""
        while True:
            try:
                removed = await self.tidy()
            except BusUnavailable as error:
                logger.warning("old task records cannot be removed just now: %s", error)
            else:
                if removed:
                    logger.info("removed the records of %d tasks that had ended, to make room", removed)
            await asyncio.sleep(self._limits.every_s)

    async def tidy(self) -> int:
        """Make room if there is too little; the number of records removed. Raises BusUnavailable."""
        size_bytes, quota_bytes = await self._clearing.fill()
        if size_bytes < self._limits.start_share * quota_bytes:
            return 0
        chosen, before_seq = await self._oldest_ended(size_bytes - self._limits.end_share * quota_bytes)
        if not chosen:
            return 0
        await self._clearing.purge(before_seq)
        apart = [stored for stored in chosen if stored.seq >= before_seq]
        await self._clearing.purge_each([(stored.subject, stored.seq) for stored in apart])
        return len(chosen)

    async def _oldest_ended(self, surplus_bytes: float) -> tuple[list[_Ended], int]:
        """The oldest records that nobody needs any more, as many as take up the surplus.

        Before the second value, a sequence, there are no others: these can be removed all at once.
        """
        young = now() - timedelta(seconds=self._limits.keep_s)
        chosen: list[_Ended] = []
        first_kept: int | None = None
        async for stored in self._reader.since(1, f"$KV.{BUCKET_TASKS}.>"):
            if stored.stored_at > young or surplus_bytes <= 0:
                break
            if _has_ended(stored):
                chosen.append(_Ended(stored.seq, stored.subject))
                surplus_bytes -= len(stored.data) + len(stored.subject)
            elif first_kept is None:
                first_kept = stored.seq
        after_last = chosen[-1].seq + 1 if chosen else 1
        return chosen, first_kept or after_last


def _has_ended(stored: Stored) -> bool:
    return stored.deleted or TaskState(orjson.loads(stored.data)["state"]).terminal

"""Reads a key-value bucket as a feed that outlives reconnects and server restarts. Called by the registry and health.

The watcher of nats-py waits ten seconds before it notices that its consumer died with the server, and then replays
old values as new. This one asks after each idle second, lists again, and tells only what differs.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.kv import KV_DEL, KV_OP, KV_PURGE

from agents.errors import BusUnavailable

logger = logging.getLogger(__name__)

IDLE_CHECK_S = 1.0
RETRY_S = 0.25
FORGET_CONSUMER_AFTER_S = 30.0
UNLISTED_MAX = 1_000
"""So many keys more than twice those listed last, and the bucket is listed again: nothing tells that keys expired, or
were purged without a marker, and they would be remembered for ever."""

BUS_ERRORS = (nats.errors.Error, OSError)
"""All that nats-py raises when the bus does not answer (asyncio's TimeoutError is an OSError)."""


@dataclass(frozen=True, slots=True)
class KvEntry:
    """One revision of one key. ``value`` of a removed key may be empty."""

    key: str
    value: bytes
    revision: int
    removed: bool
    stored_at: datetime


class FeedBroken(Exception):
    """A message of the feed got lost on its way: list again."""


def stream_of(bucket: str) -> str:
    """The stream below a bucket (ADR-8)."""
    return f"KV_{bucket}"


def subject_of(bucket: str, key: str) -> str:
    """The subject below a key (ADR-8)."""
    return f"$KV.{bucket}.{key}"


@contextmanager
def bus_errors(doing: str) -> Iterator[None]:
    """Errors of the bus client become BusUnavailable, which says what could not be done."""
    try:
        yield
    except BUS_ERRORS as error:
        raise BusUnavailable(f"cannot {doing}: {str(error) or type(error).__name__}") from error


async def snapshot(js: JetStreamContext, bucket: str, keys: str = ">", *, history: bool = False) -> list[KvEntry]:
    """The last revision (or all kept revisions) of the keys, in order of revision. Raises BusUnavailable."""
    with bus_errors(f"read bucket {bucket}"):
        reader = await _Reader.open(js, bucket, keys, DeliverPolicy.ALL if history else DeliverPolicy.LAST_PER_SUBJECT)
        try:
            return [entry async for entry in reader.listing()]
        except FeedBroken as error:
            raise BusUnavailable(f"cannot read bucket {bucket}: {error}") from error
        finally:
            await reader.close()


async def follow(
    js: JetStreamContext, bucket: str, keys: str = ">", level: Callable[[], None] = lambda: None
) -> AsyncIterator[KvEntry]:
    """Every present one of the keys, then every change as it happens, for ever.

    ``level`` is told whenever all that there is was read, and a second later again.

    Changes of the same key during an outage are told as one. A key that vanished during it is told as removed; one
    that expires is, too, but late. Raises BusUnavailable once the client is closed.
    """
    present: dict[str, int] = {}
    while True:
        try:
            reader = await _Reader.open(js, bucket, keys, DeliverPolicy.LAST_PER_SUBJECT, level)
            try:
                async for entry in _differences(reader, present):
                    yield entry
            finally:
                await reader.close()
        except nats.errors.ConnectionClosedError as error:
            raise BusUnavailable(f"cannot follow bucket {bucket}: the connection was closed") from error
        except (*BUS_ERRORS, FeedBroken) as error:
            logger.info("following bucket %s again: %s", bucket, str(error) or type(error).__name__)
            await asyncio.sleep(RETRY_S)


async def _differences(reader: "_Reader", present: dict[str, int]) -> AsyncIterator[KvEntry]:
    listed: set[str] = set()
    async for entry in reader.listing():
        listed.add(entry.key)
        if entry.removed and entry.key not in present:
            continue
        if present.get(entry.key) != entry.revision:
            yield _noted(entry, present)
    for key in sorted(set(present) - listed):
        yield _noted(KvEntry(key, b"", 0, removed=True, stored_at=datetime.now(UTC)), present)
    many = 2 * len(listed) + UNLISTED_MAX
    async for entry in reader.changes():
        yield _noted(entry, present)
        if len(present) > many:
            return


def _noted(entry: KvEntry, present: dict[str, int]) -> KvEntry:
    if entry.removed:
        present.pop(entry.key, None)
    else:
        present[entry.key] = entry.revision
    return entry


class _Reader:
    """One ephemeral consumer, with the means to notice that it died or lost something."""

    def __init__(self, subscription: JetStreamContext.PushSubscription, prefix: str, level: Callable[[], None]) -> None:
        self._subscription = subscription
        self._level = level
        self._prefix = prefix
        self._received = 0
        self._pending = 1
        self._missed = False

    @classmethod
    async def open(
        cls, js: JetStreamContext, bucket: str, keys: str, policy: DeliverPolicy,
        level: Callable[[], None] = lambda: None,
    ) -> "_Reader":  # fmt: skip
        config = ConsumerConfig(
            deliver_policy=policy,
            ack_policy=AckPolicy.NONE,
            max_deliver=1,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=FORGET_CONSUMER_AFTER_S,
        )
        subject = subject_of(bucket, keys)
        subscription = await js.subscribe(subject, stream=stream_of(bucket), config=config, manual_ack=True)
        reader = cls(subscription, subject_of(bucket, ""), level)
        try:
            await reader._start()
        except BaseException:
            await reader.close()
            raise
        return reader

    async def close(self) -> None:
        """Stop reading. The server forgets the consumer by itself."""
        try:
            await self._subscription.unsubscribe()
        except BUS_ERRORS as error:
            logger.debug("a feed could not be unsubscribed: %s", error)

    async def listing(self) -> AsyncIterator[KvEntry]:
        """What was there at the start; ends when all of it has come."""
        while self._pending > 0:
            entry = await self._next()
            if entry is not None:
                yield entry

    async def changes(self) -> AsyncIterator[KvEntry]:
        """What comes next, for ever."""
        while True:
            entry = await self._next()
            if entry is not None:
                yield entry

    async def _next(self) -> KvEntry | None:
        try:
            message = await self._subscription.next_msg(timeout=IDLE_CHECK_S)
        except nats.errors.TimeoutError:
            await self._check_alive()
            return None
        return self._take(message)

    def _take(self, message: Msg) -> KvEntry:
        metadata = message.metadata
        if metadata.sequence.consumer != self._received + 1:
            raise FeedBroken(f"{metadata.sequence.consumer - self._received - 1} messages were lost")
        self._received += 1
        self._missed = False
        self._pending = metadata.num_pending
        return KvEntry(
            key=message.subject.removeprefix(self._prefix),
            value=message.data,
            revision=metadata.sequence.stream,
            removed=(message.headers or {}).get(KV_OP) in (KV_DEL, KV_PURGE),
            stored_at=metadata.timestamp,
        )

    async def _start(self) -> None:
        info = await self._subscription.consumer_info()
        sent = info.delivered.consumer_seq if info.delivered else 0
        self._pending = (info.num_pending or 0) + sent

    async def _check_alive(self) -> None:
        """After an idle second: raises NotFoundError when the consumer is gone, FeedBroken when its messages are."""
        info = await self._subscription.consumer_info()
        sent = info.delivered.consumer_seq if info.delivered else 0
        missing = sent - self._received - self._subscription.pending_msgs
        if missing > 0 and self._missed:
            raise FeedBroken(f"{missing} messages did not arrive")
        # The server's answer may overtake messages, above all on a busy machine: once more before all is listed again.
        self._missed = missing > 0
        self._pending = (info.num_pending or 0) + sent - self._received
        if self._pending == 0:
            self._level()

"""Follows tasks to their end: waits for the record, or streams the events. Called by the doors.

Waiting hears the end from a plain subscription, which may lose a message, so it also looks at the record now and then.
Event streams are read from the stream itself, so they can start anywhere and carry its sequences; the subscription
only rings the bell.
"""

import asyncio
import math
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from agents.errors import BusUnavailable
from gateway.bus.stream_reader import Stored, StreamReader
from gateway.errors import Overloaded, TaskNotFound
from gateway.task_ledger import TaskLedger
from schemas import subjects
from schemas.base import now
from schemas.task import TaskEventKind, TaskRecord

_LOOK_EVERY_S = 1.0
_SETTLE_S = 0.02
"""The bell may ring a moment before the stream has stored what it rang for."""

_END_IS_TOLD_WITHIN_S = 15.0
"""After the record says that a task is over. Usually milliseconds; more when its worker died just then and another one
tells it, or when the stream of events gets a new leader.
"""

_KIND = re.compile(rb'"kind"\s*:\s*"([a-z_]+)"')
_ACCEPTED = TaskEventKind.ACCEPTED.value.encode()
_ENDINGS = frozenset(kind.value.encode() for kind in TaskEventKind if kind.terminal)


def kind_of(event_json: bytes) -> bytes:
    """The event's kind, without parsing the rest; empty when there is none."""
    found = _KIND.search(event_json)
    return found.group(1) if found else b""


class Following:
    """Watches tasks from this door. At most ``limit`` event streams and waits at once."""

    def __init__(self, nc: Client, ledger: TaskLedger, events: StreamReader, *, limit: int = 1000) -> None:
        self._nc = nc
        self._ledger = ledger
        self._events = events
        self._limit = limit
        self._open = 0
        self._closing = asyncio.Event()

    @property
    def open_count(self) -> int:
        """How many waits and event streams are open."""
        return self._open

    def close(self) -> None:
        """End every wait and event stream within a second: the door is about to go; clients ask another one."""
        self._closing.set()

    async def check(self, tenant: str, task_id: str) -> None:
        """Whether ``events`` can be told. Raises TaskNotFound, Overloaded."""
        # A message that was refused on the bus has no record, but its story is told.
        known = await self._ledger.find(tenant, task_id) or await self._events.last(subjects.event(tenant, task_id))
        if known is None:
            raise TaskNotFound(f"there is no task {task_id} of tenant {tenant}")
        self._check_room()

    def _check_room(self) -> None:
        if self._open >= self._limit:
            raise Overloaded(f"{self._open} clients follow tasks here already")

    @asynccontextmanager
    async def watch(self, tenant: str, task_id: str) -> AsyncIterator["Watch"]:
        """Hear the task's events from now on; enter before publishing the task, and nothing is missed."""
        self._check_room()
        self._open += 1
        try:
            watch = Watch(self._ledger, tenant, task_id, self._closing)
            subscription = await self._subscribe(tenant, task_id, watch)
            try:
                yield watch
            finally:
                with suppress(nats.errors.Error, OSError):
                    await subscription.unsubscribe()
        finally:
            self._open -= 1

    async def events(self, tenant: str, task_id: str, after_seq: int = 0) -> AsyncGenerator[Stored | None, None]:
        """Every event after that sequence until the task has ended; None about every second of silence.

        Raises Overloaded before the first one. Survives an absent bus. Ends when the record says that the task is
        over and an event says so too, or none comes any more. A task put back after its end goes on.
        """
        following, told = after_seq + 1, await self._is_ending(tenant, task_id, after_seq)
        async with self.watch(tenant, task_id) as watch:
            silent = await watch.has_ended()
            while not self._closing.is_set():
                async with aclosing(self._stored(tenant, task_id, following)) as stored:
                    async for event in stored:
                        following, kind = event.seq + 1, kind_of(event.data)
                        if kind != _ACCEPTED:  # a slow door tells of it after the end
                            told = kind in _ENDINGS
                        yield event
                if (told or silent) and await watch.has_ended(told=told):
                    return
                silent = not await watch.rings(_LOOK_EVERY_S)
                if silent:
                    yield None

    async def _subscribe(self, tenant: str, task_id: str, watch: "Watch") -> Subscription:
        try:
            return await self._nc.subscribe(subjects.event(tenant, task_id), cb=watch.hear)
        except (nats.errors.Error, OSError) as error:
            raise BusUnavailable(f"the events of task {task_id} cannot be heard: {error!r}") from error

    async def _is_ending(self, tenant: str, task_id: str, seq: int) -> bool:
        """Whether the last event that a client says it has seen was the end."""
        with suppress(BusUnavailable):
            event = await self._events.one(seq) if seq else None
            return (
                event is not None
                and event.subject == subjects.event(tenant, task_id)
                and kind_of(event.data) in _ENDINGS
            )
        return False

    async def _stored(self, tenant: str, task_id: str, seq: int) -> AsyncGenerator[Stored, None]:
        """What the stream holds from ``seq`` on; nothing while the bus is away."""
        with suppress(BusUnavailable):
            async with aclosing(self._events.since(seq, subjects.event(tenant, task_id))) as found:
                async for event in found:
                    yield event


class Watch:
    """One task, being watched."""

    def __init__(self, ledger: TaskLedger, tenant: str, task_id: str, closing: asyncio.Event) -> None:
        self._ledger = ledger
        self._closing = closing
        self._tenant = tenant
        self._task_id = task_id
        self._bell = asyncio.Event()
        self._end = asyncio.Event()
        self._over_since = math.inf

    async def hear(self, message: Msg) -> None:
        """An event came."""
        if kind_of(message.data) in _ENDINGS:
            self._end.set()
        self._bell.set()

    async def rings(self, timeout_s: float) -> bool:
        """Wait for an event, at most so long; whether one came."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._bell.wait()
        except TimeoutError:
            return False
        await asyncio.sleep(_SETTLE_S)
        self._bell.clear()
        return True

    async def has_ended(self, *, told: bool = False) -> bool:
        """Whether nothing more comes: the record says that the task is over, and the end was told or never will be.

        False while the bus is away. Without a record it counts whether the end was ``told``.
        """
        with suppress(BusUnavailable):
            held = await self._ledger.find(self._tenant, self._task_id)
            if held is None:
                return told
            return held.record.state.terminal and (told or self._is_long_over(held.record))
        return False

    def _is_long_over(self, record: TaskRecord) -> bool:
        """By the clock of whoever ended it or by our own: they may differ."""
        self._over_since = min(self._over_since, time.monotonic())
        ago_s = max(time.monotonic() - self._over_since, (now() - record.updated_at).total_seconds())
        return ago_s >= _END_IS_TOLD_WITHIN_S

    async def ended(self, timeout_s: float) -> TaskRecord | None:
        """The final record, or None when the task goes on longer than that, or the door closes."""
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0 and not self._closing.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, _LOOK_EVERY_S)):
                    await self._end.wait()
            with suppress(BusUnavailable):
                held = await self._ledger.find(self._tenant, self._task_id)
                if held is not None and held.record.state.terminal:
                    return held.record
            if self._end.is_set():
                # The event was heard before the record could be read: an outage, or a task put back since.
                self._end.clear()
        return None

"""Pulls tasks off one lane of the work queue, never more than there are free slots. Called by `dispatch`.

A lane keeps one pull request open at a time (the pull protocol of ADR-13, as in the newer NATS clients): a request for
as many messages as there are free slots, which ends when they came, when it expires, or when the server went away.
While a message is worked on, the lane tells the server so; if this process dies, the server redelivers after
``ack_wait_s``.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import nats.errors
import nats.js.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from schemas import subjects
from schemas.task import Priority

logger = logging.getLogger(__name__)

Work = Callable[[Msg], Awaitable[None]]

_STATUS = "Status"
_RETRY_S = 0.25


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """How a lane pulls. ``ack_wait_s`` is how long a dead worker's tasks wait for another."""

    slots: int = 64
    ack_wait_s: float = 5.0
    pull_expires_s: float = 2.0

    @property
    def in_progress_every_s(self) -> float:
        """Four chances to be heard before the server gives the message to somebody else."""
        return self.ack_wait_s / 4


class Lane:
    """One priority's share of this worker. ``work`` must not raise; it acknowledges the message itself."""

    def __init__(self, nc: Client, js: JetStreamContext, priority: Priority, limits: LaneLimits, work: Work) -> None:
        self._nc = nc
        self._js = js
        self._priority = priority
        self._limits = limits
        self._work = work
        self._consumer = f"{subjects.QUEUE_WORKERS}-{priority.value}"
        self._slots = asyncio.Semaphore(limits.slots)
        self._held: dict[asyncio.Task[None], Msg] = {}
        self._expected = 0
        self._request_ended = asyncio.Event()
        self._stopping = False
        self._heartbeat: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """How many tasks this lane works on."""
        return len(self._held)

    async def run(self) -> None:
        """Pull until ``stop``. Survives every outage of the server. What is held stays held until ``drain``."""
        inbox = self._nc.new_inbox()
        subscription = await self._nc.subscribe(inbox, cb=self._receive)
        self._heartbeat = asyncio.create_task(self._keep_held())
        try:
            await self._ensure_consumer()
            while not self._stopping:
                await self._pull(inbox)
        finally:
            await _quietly_unsubscribe(subscription)

    def stop(self) -> None:
        """Take no more tasks."""
        self._stopping = True
        self._request_ended.set()

    async def drain(self, timeout_s: float) -> None:
        """Let the tasks in flight end; whatever is left after the timeout goes back to the queue at once."""
        if self._held:
            await asyncio.wait(self._held, timeout=timeout_s)
        left = dict(self._held)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for message in left.values():
            with suppress(nats.errors.Error, OSError):
                await message.nak()
        if self._heartbeat is not None:
            self._heartbeat.cancel()

    async def _pull(self, inbox: str) -> None:
        free = await self._free_slots()
        request = {"batch": free, "expires": int(self._limits.pull_expires_s * 1e9)}
        self._expected = free
        self._request_ended.clear()
        if self._stopping:
            return
        try:
            await self._nc.publish(self._next_subject, orjson.dumps(request), reply=inbox)
            async with asyncio.timeout(self._limits.pull_expires_s + 1.0):
                await self._request_ended.wait()
        except TimeoutError:
            logger.debug("lane %s: a pull request was lost; asking again", self._priority.value)
        except (nats.errors.Error, OSError):
            await asyncio.sleep(_RETRY_S)

    @property
    def _next_subject(self) -> str:
        return f"$JS.API.CONSUMER.MSG.NEXT.{subjects.STREAM_TASKS}.{self._consumer}"

    async def _free_slots(self) -> int:
        """Wait for one free slot; the answer counts all that are free."""
        async with self._slots:
            return max(1, self._limits.slots - len(self._held))

    async def _receive(self, message: Msg) -> None:
        status = message.headers.get(_STATUS) if message.headers else None
        if status is not None and not message.data:
            await self._end_request(status, message)
            return
        self._expected -= 1
        if self._expected <= 0:
            self._request_ended.set()
        task = asyncio.create_task(self._hold(message))
        self._held[task] = message
        task.add_done_callback(self._held.pop)

    async def _hold(self, message: Msg) -> None:
        async with self._slots:
            await self._work(message)

    async def _end_request(self, status: str, message: Msg) -> None:
        """408: nobody had work; 404 and 409: the consumer went away; 503: JetStream is not there (yet)."""
        if status == "100":
            return
        if status != "408":
            logger.info(
                "lane %s: %s %s", self._priority.value, status, message.header and message.header.get("Description")
            )
            await asyncio.sleep(_RETRY_S)
            await self._ensure_consumer()
        self._request_ended.set()

    async def _ensure_consumer(self) -> None:
        config = ConsumerConfig(
            durable_name=self._consumer,
            ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=DeliverPolicy.ALL,
            filter_subject=subjects.submit_lane(self._priority),
            ack_wait=self._limits.ack_wait_s,
            max_ack_pending=50_000,
            max_waiting=1024,
        )
        try:
            await self._js.add_consumer(subjects.STREAM_TASKS, config)
        except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
            logger.warning("lane %s: the consumer cannot be made just now: %s", self._priority.value, error)
            await asyncio.sleep(_RETRY_S)

    async def _keep_held(self) -> None:
        while True:
            await asyncio.sleep(self._limits.in_progress_every_s)
            for message in list(self._held.values()):
                with suppress(nats.errors.Error, OSError):
                    await message.in_progress()


async def _quietly_unsubscribe(subscription: Subscription) -> None:
    with suppress(nats.errors.Error, OSError):
        await subscription.unsubscribe()

"""The evolution layer's ear: reads the experience stream in batches and acknowledges what is safely kept.

Before it: workers publish ``aos.<t>.experience``, doors ``aos.<t>.feedback``. Started by the wiring. Why nats-py and
not FastStream's batch subscriber: docs/decisions/0004-recorder-on-nats-py.md.
"""

import asyncio
import base64
import logging
from collections.abc import Sequence
from contextlib import suppress

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig

from evolution.claiming import Place
from evolution.errors import ExperienceStoreUnavailable
from evolution.recording import Arrival, Fate, Recorder, Verdict
from evolution.sweeping import Sweeper
from schemas import subjects
from schemas.task import DeadTask

logger = logging.getLogger(__name__)

DURABLE = "experience-recorder"
BATCH = 500
LINGER_S = 0.02
BUSY_LINGER_S = 0.5
BUSY_MESSAGES = 4
"""When so many came together the next ones may wait longer: a write and its fsync for each few tasks slow them all."""
POLL_S = 0.5
ACK_WAIT_S = 30.0
RETRY_MIN_S = 0.5
RETRY_MAX_S = 30.0
MAX_DEAD_PAYLOAD = 512 * 1024
"""A refused message travels on inside another one, base64 in JSON, and the bus takes 1 MB."""
MAX_DEAD_REASON = 4_000
"""In characters. A reason names fields, and whoever wrote the message may have named one with half a megabyte."""


class ExperienceConsumer:
    """One of any number of recorders that share the durable consumer of the experience stream.

    A message is acknowledged only after its content is durable or its refusal lies in the dead-letter stream. While
    the store is down everything stays in the stream; at most two batches are ever held in memory.
    """

    def __init__(
        self,
        nc: Client,
        recorder: Recorder,
        *,
        place: Place | None = None,
        batch: int = BATCH,
        linger_s: float = LINGER_S,
        ack_wait_s: float = ACK_WAIT_S,
        retry_min_s: float = RETRY_MIN_S,
        retry_max_s: float = RETRY_MAX_S,
    ) -> None:
        self._nc = nc
        self._js = nc.jetstream()
        self._recorder = recorder
        self._batch = batch
        self._idle_linger_s = self._linger_s = linger_s
        self._ack_wait_s = ack_wait_s
        self._retry_min_s = retry_min_s
        self._retry_max_s = retry_max_s
        self._place = place
        self._sweeper = Sweeper(self._js, subjects.STREAM_EXPERIENCE, DURABLE, place.check if place else None)

    async def run(self, stop: asyncio.Event) -> None:
        """Record until ``stop`` is set, finishing the batch in hand. Survives restarts of the bus and of the store.

        Raises nats.errors.ConnectionClosedError when the connection was closed for good, and RecordedElsewhere while
        somebody else fills another store.
        """
        subscription = await self._subscribed(stop)
        wait_s = 0.0
        while subscription is not None and not stop.is_set():
            try:
                messages = await self._fetch(subscription)
                if messages:
                    wait_s = await self._settle(messages, wait_s)
                    self._sweeper.acknowledged()
                await self._sweeper.sweep(idle=not messages)
                await _pause(stop, wait_s)
            except (nats.errors.ConnectionClosedError, asyncio.CancelledError):
                raise
            except nats.errors.Error as error:
                logger.warning(
                    "the experience stream does not answer (%s); trying again", str(error) or type(error).__name__
                )
                await _pause(stop, self._retry_min_s)
                await _close(subscription)
                subscription = await self._subscribed(stop)
        if subscription is not None:
            await _close(subscription)

    async def _subscribed(self, stop: asyncio.Event) -> JetStreamContext.PullSubscription | None:
        """The shared durable consumer, created when missing; None when told to stop before the bus answered."""
        while not stop.is_set():
            try:
                return await self._subscribe()
            except nats.errors.ConnectionClosedError:
                raise
            except nats.errors.Error as error:
                logger.warning("cannot follow the experience stream yet (%s)", str(error) or type(error).__name__)
                await _pause(stop, self._retry_min_s)
        return None

    async def _subscribe(self) -> JetStreamContext.PullSubscription:
        config = ConsumerConfig(
            durable_name=DURABLE,
            filter_subjects=[subjects.EXPERIENCE_ALL, subjects.FEEDBACK_ALL],
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self._ack_wait_s,
            max_deliver=-1,  # a store may be down for days; what is malformed never comes a second time
            max_ack_pending=20 * self._batch,
            metadata=self._place.metadata() if self._place else None,
        )
        if self._place is not None:
            await self._place.claim(self._js, subjects.STREAM_EXPERIENCE, DURABLE)
        await self._js.add_consumer(subjects.STREAM_EXPERIENCE, config)
        return await self._js.pull_subscribe_bind(DURABLE, stream=subjects.STREAM_EXPERIENCE)

    async def _fetch(self, subscription: JetStreamContext.PullSubscription) -> list[Msg]:
        """Waits for a first message, then lets those that follow soon join it, so that one fsync serves all."""
        try:
            messages = await subscription.fetch(1, timeout=POLL_S)
        except TimeoutError:
            return []
        await asyncio.sleep(self._linger_s)
        with suppress(TimeoutError):
            messages += await subscription.fetch(self._batch - 1, timeout=self._idle_linger_s)
        self._linger_s = BUSY_LINGER_S if len(messages) >= BUSY_MESSAGES else self._idle_linger_s
        return messages

    async def _settle(self, messages: Sequence[Msg], waited_s: float) -> float:
        """Acknowledge what is kept, bury what is refused. Answers how long to wait before the next batch."""
        try:
            verdicts = await self._recorder.record([Arrival(msg.subject, msg.data) for msg in messages])
        except ExperienceStoreUnavailable as error:
            wait_s = min(max(2 * waited_s, self._retry_min_s), self._retry_max_s)
            logger.warning("%d messages wait %.1f s in the stream: %s", len(messages), wait_s, error)
            for message in messages:
                await message.nak(delay=wait_s)
            return wait_s
        for message, verdict in zip(messages, verdicts, strict=True):
            if verdict.fate is Fate.KEPT:
                await message.ack()
            else:
                await self._bury(message, verdict)
        return 0.0

    async def _bury(self, message: Msg, verdict: Verdict) -> None:
        """To the dead-letter stream, under an id that makes a second burial of the same message nothing new."""
        dead = dead_letter(message, verdict)
        logger.warning("%s refused: %s", message.subject, dead.reason)
        message_id = f"experience-{message.metadata.sequence.stream}"
        try:
            await self._js.publish(
                subjects.dead(dead.tenant),
                dead.model_dump_json().encode(),
                headers={subjects.HEADER_MESSAGE_ID: message_id},
            )
        except nats.errors.Error as error:
            logger.warning("the dead-letter stream takes nothing (%s); the message stays", error)
            await message.nak(delay=self._retry_max_s)
            return
        await message.ack()


def dead_letter(message: Msg, verdict: Verdict) -> DeadTask:
    """What is kept of a refused message."""
    payload, reason = message.data, verdict.reason[:MAX_DEAD_REASON]
    if len(payload) > MAX_DEAD_PAYLOAD:
        reason += f" (only the first {MAX_DEAD_PAYLOAD} of its {len(payload)} bytes are kept)"
    return DeadTask(
        task_id=verdict.task_id,
        tenant=subjects.tenant_of(message.subject),
        reason=reason,
        code="experience_refused",
        attempts=message.metadata.num_delivered or 1,
        subject=message.subject,
        payload=base64.b64encode(payload[:MAX_DEAD_PAYLOAD]).decode(),
    )


async def _close(subscription: JetStreamContext.PullSubscription) -> None:
    with suppress(nats.errors.Error):
        await subscription.unsubscribe()


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    if seconds > 0:
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), seconds)

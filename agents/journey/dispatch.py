"""Turns a message of the work queue into a task, and acknowledges it only after the effect. Called by `lanes`.

Every way out of here is one of four: acknowledged (done, or refused for good), negatively acknowledged (try again
later), buried (given up, with its reason), or left alone (it is being worked on here already).

Deliveries are counted to find tasks that kill their workers, so an outage of the bus is waited for with the message in
hand: sent back and forth it would soon look like one of them. What goes back because the object store, the index or the
encoders are away is counted as such.
"""

import asyncio
import itertools
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import nats.errors
from nats.aio.msg import Msg
from pydantic import ValidationError

from agents.errors import (
    AgentsError,
    BusUnavailable,
    RecordUnreadable,
    ServiceAway,
    TaskTakenElsewhere,
    WorkerStops,
)
from agents.journey.claim import Claim
from agents.journey.controls import Controls
from agents.journey.dead import DeadLetters
from agents.journey.handbacks import Handbacks
from agents.journey.submissions import claimed_id, in_words, task_in
from agents.journey.telling import Teller
from agents.journey.travel import Traveller
from agents.stopping import Stopping
from schemas import subjects
from schemas.task import TaskEventKind, TaskFailure, TaskSubmitted
from tensor_layer.errors import TensorLayerError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DispatchLimits:
    """When to try again and when to give up."""

    max_deliveries: int = 10
    first_delay_s: float = 0.25
    longest_delay_s: float = 15.0

    def delay_s(self, deliveries: int) -> float:
        """Exponential back-off by number of deliveries so far."""
        return float(min(self.longest_delay_s, self.first_delay_s * 2 ** max(0, deliveries - 1)))


class Dispatcher:
    """Handles one message at a time per call; never raises."""

    def __init__(
        self,
        traveller: Traveller,
        controls: Controls,
        dead: DeadLetters,
        teller: Teller,
        limits: DispatchLimits,
        stopping: Stopping,
        handbacks: Handbacks,
    ) -> None:
        self._handbacks = handbacks
        self._stopping = stopping
        self._traveller = traveller
        self._controls = controls
        self._dead = dead
        self._teller = teller
        self._limits = limits

    async def dispatch(self, message: Msg) -> None:
        """Do what the message asks for, then say so to the bus."""
        try:
            task = task_in(message)
        except (ValidationError, ValueError) as error:
            await self._refuse(message, error)
            return
        tenant = subjects.tenant_of(message.subject)
        running_for = self._controls.message_of(task.tenant, task.task_id)
        if task.tenant != tenant:
            await self._refuse(message, ValueError(f"the task says tenant {task.tenant}, its subject says {tenant}"))
        elif running_for == message.metadata.sequence.stream:
            logger.info("task %s was delivered again while it runs here", task.task_id)
        elif running_for is not None:
            await self._drop_or_wait(message, task)
        elif (message.metadata.num_delivered or 1) > self._limits.max_deliveries:
            await self._give_up(message, task, "it was tried and failed each time; workers may have died of it")
        else:
            await self._work(message, task)

    async def _drop_or_wait(self, message: Msg, task: TaskSubmitted) -> None:
        """Another message of a task that runs here: a duplicate, or one that brings a waiting task back very soon."""
        try:
            meaning = await self._traveller.meaning(task, message.metadata.sequence.stream)
        except AgentsError as error:
            logger.warning("a second message of task %s has to wait: %s", task.task_id, error)
            meaning = Claim.RESUME
        if meaning is Claim.DROP:
            await _acknowledge(message)
        else:
            await self._try_again(message, 1)

    async def _work(self, message: Msg, task: TaskSubmitted) -> None:
        stream_seq, deliveries = message.metadata.sequence.stream, message.metadata.num_delivered or 1
        self._controls.enter(task.tenant, task.task_id, stream_seq)
        try:
            await self._travel(task, stream_seq, deliveries)
        except TaskTakenElsewhere as elsewhere:  # neither acknowledged nor given back: the message is another's
            logger.info("task %s is in other hands: %s", task.task_id, elsewhere)
        except WorkerStops:
            logger.info("task %s goes on at another worker", task.task_id)
            await self._handbacks.add(task)
            await _give_back(message)
        except ServiceAway as error:
            logger.warning("task %s waits in the queue: %s", task.task_id, error)
            await self._handbacks.add(task)
            await self._try_again(message, deliveries)
        except asyncio.CancelledError:  # its step outlasts the drain; the lane gives the message back
            if self._stopping.wished:
                await self._handbacks.add(task)
            raise
        except (AgentsError, TensorLayerError, nats.errors.Error, OSError) as error:
            logger.warning("task %s is tried again: %s", task.task_id, error)
            await self._try_again(message, deliveries)
        except Exception:
            logger.exception("task %s met a defect; it is tried again", task.task_id)
            await self._try_again(message, deliveries)
        else:
            await _acknowledge(message)
        finally:
            self._controls.leave(task.tenant, task.task_id)

    async def _travel(self, task: TaskSubmitted, stream_seq: int, deliveries: int) -> None:
        """Again and again while the bus is away or full; the lane keeps the message from being redelivered.

        A person's wish to cancel that meets no run (the task is about to begin, or to end, or waits here) leads to the
        record, which holds the wish.
        """
        for failures in itertools.count(1):
            try:
                await self._traveller.travel(task, stream_seq, deliveries)
                return
            except BusUnavailable as error:
                logger.warning("task %s waits for the bus: %s", task.task_id, error)
                pause_s = self._limits.delay_s(failures)
            except asyncio.CancelledError:
                if not self._controls.heard_cancel(task.tenant, task.task_id):
                    raise
                pause_s = 0.0
            self._stopping.heed()
            await self._pause(task, pause_s)

    async def _pause(self, task: TaskSubmitted, seconds: float) -> None:
        """Wait, until the worker stops or a person cancels the task. Raises WorkerStops."""
        try:
            await self._stopping.sleep(seconds)
        except asyncio.CancelledError:
            if not self._controls.heard_cancel(task.tenant, task.task_id):
                raise

    async def _try_again(self, message: Msg, deliveries: int) -> None:
        with suppress(nats.errors.Error, OSError):
            await message.nak(delay=self._limits.delay_s(deliveries))

    async def _give_up(self, message: Msg, task: TaskSubmitted, reason: str) -> None:
        """Bury the message and end the task as failed, in this order: a task is never without a trace.

        It is done all the same when workers that stopped in good order, or services away, account for the deliveries.
        """
        deliveries = message.metadata.num_delivered or 0
        stream_seq = message.metadata.sequence.stream
        reason = f"given up after {deliveries - 1} deliveries: {reason}"
        try:
            if deliveries - await self._handbacks.count(task) <= self._limits.max_deliveries:
                await self._work(message, task)
                return
            if await self._traveller.meaning(task, stream_seq) in (Claim.DROP, Claim.SETTLE_AGAIN):
                await self._work(message, task)  # there is nothing left to do that could kill anybody
                return
            await self._dead.bury(message, task.task_id, task.tenant, "too_many_deliveries", reason)
            await self._traveller.give_up(task, stream_seq, deliveries, reason)
        except RecordUnreadable as error:
            failure = TaskFailure(code=error.code, message=str(error))
            await self._set_aside(
                message, task.tenant, task.task_id, TaskEventKind.FAILED, failure, {"failure": failure}
            )
            return
        except (AgentsError, TensorLayerError) as error:
            logger.warning("task %s cannot be buried yet: %s", task.task_id, error)
            await self._try_again(message, deliveries)
            return
        await _acknowledge(message)

    async def _refuse(self, message: Msg, error: ValueError) -> None:
        """A message that is no task: told on the event subject of the id it claims, and buried with its reason."""
        tenant = subjects.tenant_of(message.subject)
        task_id = claimed_id(message.data) or f"invalid-{message.metadata.sequence.stream}"
        failure = TaskFailure(code="invalid_task", message=in_words(error))
        next_step = "see schemas/json/TaskSubmitted.schema.json"
        data = {"code": failure.code, "problem": failure.message, "next_step": next_step}
        await self._set_aside(message, tenant, task_id, TaskEventKind.REJECTED, failure, data)

    async def _set_aside(
        self, message: Msg, tenant: str, task_id: str, kind: TaskEventKind, why: TaskFailure, data: dict[str, Any]
    ) -> None:
        """Nobody can do anything with the message: it is buried, and told, without a record."""
        try:
            await self._dead.bury(message, task_id, tenant, why.code, why.message)
        except AgentsError as unavailable:
            logger.warning("the message of task %s cannot be buried yet: %s", task_id, unavailable)
            await self._try_again(message, message.metadata.num_delivered or 1)
            return
        await self._teller.tell(tenant, task_id, kind, data)
        await _acknowledge(message)


async def _acknowledge(message: Msg) -> None:
    with suppress(nats.errors.Error, OSError, asyncio.TimeoutError):
        await message.ack()


async def _give_back(message: Msg) -> None:
    with suppress(nats.errors.Error, OSError):
        await message.nak()

"""Workers of one process on a real bus, for tests of a task's journey: all is real but perceiving, choosing and agents.

What an agent answers is a coroutine of the test's; which agents do a task is said by arrows, as in ``resuming_worker``.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from resuming_worker import request_for

from agents.journey.controls import Controls
from agents.journey.dead import DeadLetters
from agents.journey.dispatch import Dispatcher, DispatchLimits
from agents.journey.handbacks import Handbacks
from agents.journey.records import TaskRecords
from agents.journey.settlement import Settlement
from agents.journey.telling import Teller
from agents.journey.travel import Traveller
from agents.ports.planning import Planned
from agents.running.runner import jetstream_runner
from agents.stopping import Stopping
from schemas import subjects
from schemas.card import AgentCard
from schemas.invocation import Invocation, InvocationReply
from schemas.parts import Modality, Part, text_part
from schemas.percept import EncoderVersion, Percept
from schemas.task import Priority, TaskEvent, TaskRecord, TaskSubmitted
from tensor_layer.ports import Perceived
from tensor_layer.storage.blobs import ObstoreBlobs

Answer = Callable[[Invocation], Awaitable[InvocationReply]]
LIMITS = DispatchLimits(max_deliveries=3, first_delay_s=0.01, longest_delay_s=0.05)
PATIENCE_S = 30.0


class Bench:
    """One worker. Its agents' answers, its plan and what happens on the way may be replaced by the test."""

    def __init__(self, nc: Client, js: JetStreamContext, bucket, folder: Path, name: str = "w") -> None:
        self.nc, self.js, self.name = nc, js, name
        self.arrows = ["task>a"]
        self.approvals: tuple[str, ...] = ()
        self.asked: list[str] = []
        self.answer: Answer = done
        self.on_perceive: Callable[[], Awaitable[None]] = _nothing
        self.on_plan: Callable[[], Awaitable[None]] = _nothing
        self.records = TaskRecords(bucket)
        self.controls, self.stopping, self.teller = Controls(nc, self.records), Stopping(), Teller(nc, name)
        self.runner = jetstream_runner(nc, self, stopping=self.stopping, patience_s=1.0)
        blobs = ObstoreBlobs.from_url(folder.as_uri())
        self.settlement = Settlement(js, self.records, self.teller, blobs)
        self.traveller = Traveller(
            perceiver=self,
            planner=self,
            runner=self.runner,
            fleet=self,
            records=self.records,
            settlement=self.settlement,
            teller=self.teller,
            controls=self.controls,
            worker_id=name,
        )
        self.dispatcher = Dispatcher(
            self.traveller,
            self.controls,
            DeadLetters(js),
            self.teller,
            LIMITS,
            self.stopping,
            Handbacks(self.records),
        )

    async def perceive(self, parts: tuple[Part, ...]) -> Perceived:
        await self.on_perceive()
        encoder = EncoderVersion(name="bench", version="1", dimension=2)
        percept = Percept(parts=(), modalities=(Modality.TEXT,), encoder=encoder)
        return Perceived(percept, np.array([1.0, 0.0], dtype=np.float32), tuple(parts))

    async def plan(self, task: TaskSubmitted, perceived: Perceived) -> Planned:
        await self.on_plan()
        return Planned(request_for(task.task_id, self.arrows, approvals=self.approvals).plan, ())

    def cards(self, tenant: str) -> dict[str, AgentCard]:
        return request_for("t", self.arrows).cards

    async def invoke(self, card: AgentCard, invocation: Invocation, timeout_s: float) -> InvocationReply:
        self.asked.append(invocation.step_id)
        return await self.answer(invocation)

    async def record(self, task: TaskSubmitted) -> TaskRecord:
        held = await self.records.load(task.tenant, task.task_id)
        assert held is not None
        return held.record

    async def told(self, task: TaskSubmitted) -> list[str]:
        """Every moment told of the task so far, by kind."""
        subject = subjects.event(task.tenant, task.task_id)
        await self.nc.flush()
        count = (await self.js.stream_info(subjects.STREAM_EVENTS, subject)).state.subjects or {}
        following = await self.js.subscribe(subject, ordered_consumer=True)
        messages = [await following.next_msg(timeout=PATIENCE_S) for _ in range(count.get(subject, 0))]
        await following.unsubscribe()
        return [TaskEvent.from_peer(message.data).kind.value for message in messages]


class Queue:
    """The work queue as tests feed it, delivery by delivery."""

    def __init__(self, nc: Client, js: JetStreamContext, pulling) -> None:
        self._nc, self._js, self._pulling = nc, js, pulling

    @classmethod
    async def open(cls, nc: Client, js: JetStreamContext) -> "Queue":
        return cls(nc, js, await js.pull_subscribe(subjects.submit_lane(Priority.NORMAL), durable="bench"))

    async def put(self, task: TaskSubmitted) -> None:
        await self._js.publish(subjects.submit(task.tenant, task.priority), task.model_dump_json().encode())

    async def next(self) -> Msg:
        (message,) = await self._pulling.fetch(1, timeout=PATIENCE_S)
        return message

    async def redelivered(self, message: Msg) -> Msg:
        """The same message once more, as if its lease had run out: who has it in hand does not know."""
        await self._nc.publish(message.reply, b"-NAK")
        return await self.next()

    async def until_empty(self) -> None:
        """An acknowledgement is on its way for a moment."""
        async with asyncio.timeout(PATIENCE_S):
            while (await self._js.stream_info(subjects.STREAM_TASKS)).state.messages:
                await asyncio.sleep(0.01)


def a_task(**more) -> TaskSubmitted:
    return TaskSubmitted(parts=(text_part("do it"),), **more)


async def done(invocation: Invocation) -> InvocationReply:
    return InvocationReply(step_id=invocation.step_id, outputs=(text_part(f"{invocation.agent_id} did"),))


class Held:
    """An answer that comes when the test says so; ``asked`` is set when the agent has the question."""

    def __init__(self, answer: Answer = done) -> None:
        self.asked, self.go = asyncio.Event(), asyncio.Event()
        self._answer = answer

    async def __call__(self, invocation: Invocation) -> InvocationReply:
        self.asked.set()
        await self.go.wait()
        return await self._answer(invocation)


async def _nothing() -> None:
    return None

"""The simulated fleet behind the real gateway, bus and store: serves its agents, sends the tasks, hears what happened.

Called by ``benchmarks.learning``. Every agent answers on its invoke subject; whether it succeeds was drawn before the
run (see ``learning_fleet``), so that policies are compared on equal luck. Tasks go in by HTTP, outcomes are read from
the experience that workers publish.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import nats
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from benchmarks.learning_fleet import (
    AGENTS,
    NEWCOMERS,
    NEWCOMERS_AT,
    FleetTruth,
    Work,
    agent_name,
    examples_of,
    succeeds,
)
from benchmarks.stack import Stack
from gateway.auditions.keeping import Auditions
from gateway.learning.terms import Terms
from gateway.replay.shadow import HARMLESS
from schemas import subjects
from schemas.base import id_from_key
from schemas.experience import ExperienceRecord

TENANT = "default"
AUDITION_LUCK = 1_000_000
"""Above all task numbers: what is drawn for a task that is done again is drawn anew."""
HEARTBEAT_S = 5.0
TASK_TIMEOUT_S = 600.0
"""Patient: a busy machine makes a task late, never wrong."""
IN_FLIGHT = 12
TERMS = Terms(every_outcomes=200, least_s=2.0)
"""When the learner makes a version."""


@dataclass(slots=True)
class Heard:
    """The records by task number, and who waits for one."""

    records: dict[int, ExperienceRecord] = field(default_factory=dict)
    waiting: dict[int, asyncio.Future[None]] = field(default_factory=dict)


class SimulatedFleet:
    """All agents in one process, each on its own subject. ``number_of`` maps a task id to its number."""

    def __init__(
        self, nc: Client, work: Work, truth: FleetTruth, texts: list[str], seed: int, tags: Sequence[str] = ()
    ) -> None:
        self._nc = nc
        self._tags = tuple(tags)
        self._rows = {texts[row]: int(row) for row in work.rows}
        self._work = work
        self._truth = truth
        self._texts = texts
        self._seed = seed
        self._present: list[int] = []
        self._latest = 0
        self.number_of: dict[str, int] = {}

    async def join(self, client: httpx.AsyncClient, agents: list[int]) -> None:
        """Register the cards of these agents and serve them."""
        for agent in agents:
            name = agent_name(agent)
            await self._nc.subscribe(subjects.invoke(TENANT, name), cb=self._server(agent))
            (await client.post("/v1/agents", json=self._card(agent))).raise_for_status()
            self._present.append(agent)
        await self._beat()

    async def live(self) -> None:
        """Say again and again that every agent is alive."""
        while True:
            await self._beat()
            await asyncio.sleep(HEARTBEAT_S)

    async def _beat(self) -> None:
        for agent in self._present:
            alive = orjson.dumps({"agent_id": agent_name(agent), "tenant": TENANT})
            with suppress(nats.errors.Error):
                await self._nc.publish(subjects.heartbeat(TENANT, agent_name(agent)), alive)

    def _card(self, agent: int) -> dict[str, object]:
        """It claims to answer requests like some of the kind it is said to be good at."""
        examples = [
            self._texts[row] for row in examples_of(self._work, int(self._truth.claims[agent]), agent, self._seed)
        ]
        skill = {
            "id": "answer", "description": "Answers requests such as these.", "examples": examples,
            "inputs": ["text"], "outputs": ["text"],
        }  # fmt: skip
        return {
            "id": agent_name(agent), "version": "1.0.0", "description": "An agent with hidden strengths.",
            "tenant": TENANT, "skills": [skill], "endpoint": {"kind": "nats"}, "tags": self._tags,
            "timeouts": {"step_s": 30, "attempts": 1}, "concurrency": 1000, "cost": {"per_call": 0},
        }  # fmt: skip

    def _server(self, agent: int) -> Callable[[Msg], Awaitable[None]]:
        async def serve(message: Msg) -> None:
            invocation = orjson.loads(message.data)
            reply: dict[str, object] = {"step_id": invocation["step_id"]}
            if self._succeeds(agent, invocation):
                reply["outputs"] = [{"modality": "text", "text": "done"}]
            else:
                reply["error"] = {"code": "beyond_me", "message": "could not do it", "retryable": False}
            await message.respond(orjson.dumps(reply))

        return serve

    def _succeeds(self, agent: int, invocation: Mapping[str, Any]) -> bool:
        """A task; or one done again in an audition, which is told by its words and has a luck of its own."""
        task = self.number_of.get(invocation["task_id"])
        self._latest = max(self._latest, task or 0)
        row = self._rows[invocation["goal"]] if task is None else int(self._work.rows[task])
        draw = AUDITION_LUCK + row if task is None else task
        now = self._latest if task is None else task
        return succeeds(self._seed, draw, agent, float(self._truth.strengths(now)[agent, self._work.kinds[row]]))


@dataclass(frozen=True, slots=True)
class Happened:
    """The records by task number, and what newcomers answered in their auditions."""

    records: dict[int, ExperienceRecord]
    auditioned: list[ExperienceRecord]


async def run_tasks(
    folder: Path, work: Work, truth: FleetTruth, texts: list[str], seed: int, *, learning: bool, exploration: float,
    auditions: int, tell: Callable[[int], None],
) -> Happened:  # fmt: skip
    """All tasks in their order, ``IN_FLIGHT`` at a time. ``auditions``: past tasks that a newcomer is asked."""
    settings = {
        "AOS_LEARNING__AUDITIONS": str(auditions),
        "AOS_LEARNING__ENABLED": str(learning).lower(),
        "AOS_LEARNING__EVERY_OUTCOMES": str(TERMS.every_outcomes),
        "AOS_LEARNING__LEAST_S": str(TERMS.least_s),
        "AOS_LEARNING__REVIEW_BEYOND": "1",
        "AOS_AGENTS__MATCH_THRESHOLD": "0",
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }
    stack = Stack(folder, sync_interval="10s", settings=settings, with_echo=False)
    try:
        await stack.start()
        nc = await nats.connect(stack.nats.url)
        if learning:
            await _set_exploration(nc, exploration)
        fleet = SimulatedFleet(nc, work, truth, texts, seed, [HARMLESS] if auditions else [])
        heard = Heard()
        await nc.subscribe(subjects.experience(TENANT), cb=_hearing(heard, fleet))
        async with httpx.AsyncClient(base_url=stack.url, timeout=TASK_TIMEOUT_S) as client:
            await fleet.join(client, list(range(AGENTS - NEWCOMERS)))
            beating = asyncio.create_task(fleet.live())
            try:
                await _until_known(client, AGENTS - NEWCOMERS)
                await _send(client, fleet, heard, work, texts, range(min(NEWCOMERS_AT, len(work.rows))), tell)
                if len(work.rows) > NEWCOMERS_AT:
                    await fleet.join(client, list(range(AGENTS - NEWCOMERS, AGENTS)))
                    await _until_known(client, AGENTS)
                    await _send(client, fleet, heard, work, texts, range(NEWCOMERS_AT, len(work.rows)), tell)
            finally:
                beating.cancel()
        held = await Auditions(nc.jetstream()).all(TENANT)
        await nc.close()
        return Happened(heard.records, [record for one in held for record in one.audition.records])
    finally:
        await stack.stop()


async def _set_exploration(nc: Client, share: float) -> None:
    """As `aos policy explore` would: the tenant's wish, before anything was learned."""
    from schemas.policy_state import PolicyState

    state = PolicyState(tenant=TENANT, exploration=share, actor="benchmark", reason="how much this run explores")
    bucket = await nc.jetstream().key_value(subjects.BUCKET_POLICY)
    await bucket.put(subjects.policy_state_key(TENANT), state.model_dump_json().encode())


async def _until_known(client: httpx.AsyncClient, agents: int, timeout_s: float = 180.0) -> None:
    """Wait until a worker finds as many agents as have joined."""
    async with asyncio.timeout(timeout_s):
        while True:
            answer = await client.post("/v1/agents/search", json={"text": "anything", "limit": 200})
            if answer.status_code == 200 and len(answer.json()["report"]["candidates"]) >= agents:
                return
            await asyncio.sleep(0.2)


def _hearing(heard: Heard, fleet: SimulatedFleet) -> Callable[[Msg], Awaitable[None]]:
    async def hear(message: Msg) -> None:
        record = ExperienceRecord.model_validate_json(message.data)
        task = fleet.number_of.get(record.task_id)
        if task is None:
            return
        heard.records[task] = record
        waiting = heard.waiting.pop(task, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    return hear


async def _send(
    client: httpx.AsyncClient, fleet: SimulatedFleet, heard: Heard, work: Work, texts: list[str], tasks: range,
    tell: Callable[[int], None],
) -> None:  # fmt: skip
    """Each task is sent once the one ``IN_FLIGHT`` before it has ended."""
    slots = asyncio.Semaphore(IN_FLIGHT)
    loop = asyncio.get_running_loop()

    async def one(task: int) -> None:
        try:
            ended = heard.waiting[task] = loop.create_future()
            key = f"learning-{task}"
            fleet.number_of[id_from_key(TENANT, key)] = task
            body = {"text": texts[work.rows[task]]}
            answer = await client.post("/v1/tasks", json=body, headers={"Idempotency-Key": key})
            answer.raise_for_status()
            await asyncio.wait_for(ended, TASK_TIMEOUT_S)
            tell(task)
        finally:
            slots.release()

    async with asyncio.TaskGroup() as group:
        for task in tasks:
            await slots.acquire()
            group.create_task(one(task))

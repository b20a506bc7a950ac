"""Agents that tests bring along: real ones on the bus, in this process, and python ones in the workers' children."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
from nats.aio.client import Client
from nats.aio.msg import Msg

from schemas import subjects
from schemas.base import new_id

Answer = Callable[[Client, Msg, dict[str, Any]], Awaitable[None]]
HEARTBEAT_S = 2.0
ASKED_AT_ONCE = 20


def card(agent_id: str, **more: Any) -> dict[str, Any]:
    """A card of a text agent on the bus, as JSON; ``more`` replaces fields."""
    skill = {
        "id": "work",
        "description": f"The one thing that {agent_id} does for this test.",
        "inputs": ["text"],
        "outputs": ["text"],
    }
    return {
        "id": agent_id,
        "version": "1.0.0",
        "description": "An agent of the test suite.",
        "skills": [skill],
        "endpoint": {"kind": "nats"},
        "timeouts": {"step_s": 1.0, "attempts": 1},
    } | more


def unique(name: str) -> str:
    """An id that no other test uses."""
    return f"{name}-{new_id()[-12:]}"


def pinned(agent_id: str, text: str = "do your one thing", **more: Any) -> dict[str, Any]:
    """The body of a task for that very agent."""
    return {"text": text, "routing": {"pin": [agent_id]}} | more


async def register(door: httpx.AsyncClient, body: dict[str, Any]) -> None:
    """Register a card and wait until a worker would plan with it."""
    answer = await door.post("/v1/agents", json=body)
    assert answer.status_code in (200, 201), answer.text


async def until_planned(door: httpx.AsyncClient, body: dict[str, Any], timeout_s: float = 60) -> dict[str, Any]:
    """Wait until every worker would plan the task: asked several times at once, as any of them may answer."""
    async with asyncio.timeout(timeout_s):
        while True:
            asked = [door.post("/v1/explain", json=body) for _ in range(ASKED_AT_ONCE)]
            explained = [answer.json() for answer in await asyncio.gather(*asked)]
            if all(one.get("plan") for one in explained):
                return explained[0]
            await asyncio.sleep(0.02)


async def remove(door: httpx.AsyncClient, agent_id: str, timeout_s: float = 60) -> None:
    """Take the agent out and wait until no worker would pin it: it must not be anybody's candidate in the next test."""
    await door.delete(f"/v1/agents/{agent_id}")
    async with asyncio.timeout(timeout_s):
        while True:
            asked = [door.post("/v1/explain", json=pinned(agent_id)) for _ in range(ASKED_AT_ONCE)]
            if not any(answer.json().get("plan") for answer in await asyncio.gather(*asked)):
                return
            await asyncio.sleep(0.02)


@asynccontextmanager
async def agent_on_the_bus(
    nc: Client, door: httpx.AsyncClient, answer: Answer, tenant: str = "default", **more: Any
) -> AsyncIterator[str]:
    """An agent that answers with ``answer`` and is registered, alive and known to workers; its id."""
    agent_id = unique("agent")

    async def invoked(message: Msg) -> None:
        await answer(nc, message, json.loads(message.data))

    subscription = await nc.subscribe(subjects.invoke(tenant, agent_id), queue=subjects.QUEUE_AGENTS, cb=invoked)
    beating = asyncio.create_task(_beat(nc, tenant, agent_id))
    await register(door, card(agent_id, tenant=tenant, **more))
    await until_planned(door, pinned(agent_id))
    try:
        yield agent_id
    finally:
        beating.cancel()
        await subscription.unsubscribe()
        await door.delete(f"/v1/agents/{agent_id}")


async def _beat(nc: Client, tenant: str, agent_id: str) -> None:
    while True:
        alive = {"agent_id": agent_id, "tenant": tenant}
        await nc.publish(subjects.heartbeat(tenant, agent_id), json.dumps(alive).encode())
        await asyncio.sleep(HEARTBEAT_S)


def reply(invocation: dict[str, Any], text: str = "done") -> bytes:
    """A proper answer to the invocation."""
    return json.dumps({"step_id": invocation["step_id"], "outputs": [{"text": text}]}).encode()

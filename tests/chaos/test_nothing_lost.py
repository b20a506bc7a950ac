"""Kill anything, lose nothing: real processes, killed by SIGKILL at random moments under load.

Counted at the end: what was accepted (the publish ack), what ended, and the effects at an agent that writes its step
ids to a file.
"""

import asyncio
import random
from collections import Counter
from pathlib import Path

import httpx
import nats
import pytest

from benchmarks.stack import Stack
from evolution.wiring import StoreSettings, build_store
from schemas import subjects
from schemas.task import TaskEvent

TASKS = 300
KILLS = 12
SEED = 20261121

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


async def submit(client: httpx.AsyncClient, number: int, accepted: dict[int, str]) -> None:
    """Submit with an idempotency key until the door accepts, as a careful client does."""
    body = {"text": f"echo this back, number {number}"}
    while True:
        try:
            answer = await client.post("/v1/tasks", json=body, headers={"Idempotency-Key": f"chaos-{number}"})
        except httpx.HTTPError:
            await asyncio.sleep(0.1)
            continue
        if answer.status_code in (200, 202):
            accepted[number] = answer.json()["task_id"]
            return
        assert answer.status_code == 503, answer.text
        await asyncio.sleep(0.1)


async def submit_all(stack: Stack, accepted: dict[int, str]) -> None:
    gate = asyncio.Semaphore(24)
    async with httpx.AsyncClient(base_url=stack.url, timeout=15) as client:

        async def one(number: int) -> None:
            async with gate:
                await submit(client, number, accepted)
                await asyncio.sleep(0.9)  # spread the load over the kills

        await asyncio.gather(*(one(number) for number in range(TASKS)))


async def kill_at_random(stack: Stack, rng: random.Random) -> Counter[str]:
    killed: Counter[str] = Counter()
    victims = ["gateway", "agents-0", "agents-1", "nats"]
    for round_number in range(KILLS):
        await asyncio.sleep(rng.uniform(0.3, 1.2))
        victim = victims[round_number % len(victims)] if round_number < len(victims) else rng.choice(victims)
        stack.kill(victim)
        killed[victim] += 1
        await asyncio.sleep(rng.uniform(0.0, 0.3))
        if victim == "nats":
            await stack.nats.start()
        else:
            stack.start_process(victim)
    return killed


async def final_states(stack: Stack, task_ids: list[str]) -> dict[str, str]:
    """Wait until every task has ended; the state of each."""
    states: dict[str, str] = {}
    async with asyncio.timeout(150), httpx.AsyncClient(base_url=stack.url, timeout=15) as client:
        while len(states) < len(task_ids):
            for task_id in task_ids:
                if task_id in states:
                    continue
                try:
                    record = (await client.get(f"/v1/tasks/{task_id}")).json()
                except httpx.HTTPError:
                    break
                if record.get("state") in ("succeeded", "failed", "cancelled", "rejected"):
                    states[task_id] = record["state"]
            await asyncio.sleep(0.2)
    return states


async def endings(stack: Stack, task_ids: list[str]) -> Counter[str]:
    """How many last events each task has in the stream."""
    nc = await nats.connect(stack.nats.url)
    js = nc.jetstream(timeout=20)
    found: Counter[str] = Counter()
    subscription = await js.subscribe(subjects.EVENT_ALL, ordered_consumer=True)
    total = (await js.stream_info(subjects.STREAM_EVENTS)).state.messages
    for _ in range(total):
        event = TaskEvent.model_validate_json((await subscription.next_msg(timeout=30)).data)
        if event.kind.terminal:
            found[event.task_id] += 1
    await nc.close()
    return Counter({task_id: found[task_id] for task_id in task_ids})


async def until_empty(stack: Stack, stream: str) -> None:
    """Wait until nothing is left in a work queue; acknowledgements and the recorder come just after the result."""
    nc = await nats.connect(stack.nats.url)
    js = nc.jetstream(timeout=20)
    async with asyncio.timeout(60):
        while (await js.stream_info(stream)).state.messages:
            await asyncio.sleep(0.2)
    await nc.close()


async def test_every_accepted_task_ends_exactly_once_while_processes_are_killed(tmp_path: Path):
    stack = Stack(tmp_path / "stack", workers=2, effects=tmp_path / "effects.txt")
    accepted: dict[int, str] = {}
    try:
        await stack.start()
        _, killed = await asyncio.gather(submit_all(stack, accepted), kill_at_random(stack, random.Random(SEED)))
        await stack.until_ready()
        states = await final_states(stack, list(accepted.values()))
        told = await endings(stack, list(accepted.values()))
        await until_empty(stack, subjects.STREAM_TASKS)
        await until_empty(stack, subjects.STREAM_EXPERIENCE)
    finally:
        await stack.stop()

    effects = Counter((tmp_path / "effects.txt").read_text().split())
    assert sum(killed.values()) >= 10
    assert len(accepted) == TASKS
    assert len(set(accepted.values())) == TASKS
    assert Counter(states.values()) == {"succeeded": TASKS}
    assert max(told.values()) == 1, "a task was told to have ended twice"
    assert {step.split(".")[0] for step in effects} == set(accepted.values())
    assert max(effects.values()) == 1, "an effect was counted twice"
    assert await experience_count(stack) == TASKS


async def experience_count(stack: Stack) -> int:
    store = build_store(StoreSettings(path=stack.folder / "data" / "experience" / "experience.db", read_only=True))
    try:
        return await store.count()
    finally:
        await store.close()

"""A task that kills every worker that takes it: tried a bounded number of times, then kept aside with its reason."""

import asyncio
import json

import pytest

from schemas import subjects
from schemas.task import TaskEventKind
from tests.stack.agents import agent_on_the_bus, pinned, reply
from tests.stack.live_stack import MAX_DELIVERIES

pytestmark = pytest.mark.timeout(150)


async def test_a_task_that_kills_its_workers_ends_as_a_dead_letter_that_can_be_redriven(stack, door, bus, heard):
    harmless = asyncio.Event()

    async def answer(nc, message, invocation) -> None:
        if harmless.is_set():
            await nc.publish(message.reply, reply(invocation, "cured"))

    async with agent_on_the_bus(bus, door, answer, timeouts={"step_s": 120, "attempts": 1}) as agent:
        task_id = (await door.post("/v1/tasks", json=pinned(agent))).json()["task_id"]
        killed = await kill_whoever_takes_it(stack, heard, task_id)
        failed = await heard.until(task_id, TaskEventKind.FAILED)
        await stack.until_empty(subjects.STREAM_TASKS)

        assert len(killed) == heard.count(task_id, TaskEventKind.STEP_STARTED) == MAX_DELIVERIES
        assert failed.data["failure"]["code"] == "too_many_deliveries"
        record = (await door.get(f"/v1/tasks/{task_id}")).json()
        assert (record["state"], record["failure"]["code"]) == ("failed", "too_many_deliveries")
        assert not (await stack.experience_of(task_id)).success

        letter = await the_dead_letter_of(stack, task_id)
        assert (letter["code"], letter["attempts"]) == ("too_many_deliveries", MAX_DELIVERIES + 1)
        shown = await stack.aos("dead", "show", str(letter["seq"]))
        assert shown[0] == 0
        assert "workers may have died of it" in shown[1]

        harmless.set()
        redriven = await stack.aos("dead", "redrive", str(letter["seq"]))
        assert redriven[0] == 0, redriven[1]
        await heard.until(task_id, TaskEventKind.SUCCEEDED)
        record = (await door.get(f"/v1/tasks/{task_id}?wait=40")).json()
    assert [part["text"] for part in record["result"]["outputs"]] == ["cured"]
    assert await the_dead_letter_of(stack, task_id) is None
    await stack.until_empty(subjects.STREAM_TASKS)


async def kill_whoever_takes_it(stack, heard, task_id: str) -> list[str]:
    """SIGKILL each worker the moment it begins the task's step, and start another, until nobody may take it again."""
    killed: list[str] = []
    for _ in range(MAX_DELIVERIES):
        taken = await heard.until(task_id, TaskEventKind.STEP_STARTED, lambda event: event.worker_id not in killed)
        killed.append(taken.worker_id)
        stack.kill(stack.worker_named(taken.worker_id))
        await stack.heal()
    return killed


async def the_dead_letter_of(stack, task_id: str) -> dict | None:
    code, said = await stack.aos("dead", "list", "--json")
    assert code == 0, said
    return next((letter for letter in json.loads(said)["letters"] if letter["task_id"] == task_id), None)

"""Streams at their quota: the door says 503 at once, nothing accepted is lost, and all recovers by itself."""

import asyncio

import pytest

from schemas import subjects
from schemas.task import TaskEventKind
from tests.stack.agents import agent_on_the_bus, reply
from tests.stack.live_stack import MAX_DELIVERIES

pytestmark = pytest.mark.timeout(120)

KIB = 1024
FULL_FOR_S = 4.0
"""Longer than a worker's polite retries would take to reach the bound on deliveries."""


async def test_a_full_work_queue_answers_503_at_once_keeps_what_it_took_and_recovers(stack, door, heard):
    body = {"text": "echo this back: " + "word " * 400}
    async with stack.limited(subjects.STREAM_TASKS, max_bytes=64 * KIB):
        with stack.frozen("agents"):
            accepted = []
            while (answer := await door.post("/v1/tasks", json=body)).status_code == 202:
                accepted.append(answer.json()["task_id"])
                assert len(accepted) < 100
            refused = await door.post("/v1/tasks", json=body)
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (503, "store_full"), "a clean refusal, not a wait in vain"
        assert int(refused.headers["Retry-After"]) > 0
        assert problem["next_step"]

        for task_id in accepted:
            assert (await door.get(f"/v1/tasks/{task_id}?wait=30")).json()["state"] == "succeeded"
        again = (await door.post("/v1/tasks?wait=30", json=body)).json()
    assert len(accepted) >= 10
    assert again["state"] == "succeeded"
    assert [heard.count(task_id, TaskEventKind.SUCCEEDED) for task_id in accepted] == [1] * len(accepted)


async def test_a_full_experience_stream_delays_the_telling_and_loses_nothing(stack, door, heard):
    """Nothing of these tasks is poison: not one may end as a dead letter, however long the recorder is away."""
    dead_before = await dead(door)
    async with stack.limited(subjects.STREAM_EXPERIENCE, max_bytes=8 * KIB):
        with stack.frozen("evolution"):
            accepted = [
                (await door.post("/v1/tasks", json={"text": f"echo this back, number {number}"})).json()["task_id"]
                for number in range(12)
            ]
            await asyncio.sleep(FULL_FOR_S)  # the stream has to stay full for a while
    for task_id in accepted:
        await heard.until(task_id, TaskEventKind.SUCCEEDED)
        assert (await stack.experience_of(task_id)).success
    await stack.until_empty(subjects.STREAM_TASKS)
    await stack.until_empty(subjects.STREAM_EXPERIENCE)
    assert await dead(door) == dead_before
    assert [heard.count(task_id, TaskEventKind.SUCCEEDED) for task_id in accepted] == [1] * len(accepted)
    assert [len(stack.effects_of(task_id)) for task_id in accepted] == [1] * len(accepted)


async def test_a_full_checkpoint_stream_holds_tasks_up_and_loses_nothing(stack, door, bus, heard):
    dead_before = await dead(door)
    asked: list[str] = []

    async def answer(nc, message, invocation) -> None:
        asked.append(invocation["step_id"])
        await nc.publish(message.reply, reply(invocation))

    async with agent_on_the_bus(bus, door, answer) as first, agent_on_the_bus(bus, door, answer) as second:
        async with stack.limited(subjects.STREAM_CHECKPOINTS, max_bytes=1):
            body = {"text": "do your one thing", "routing": {"pin": [first, second]}}
            task_id = (await door.post("/v1/tasks", json=body)).json()["task_id"]
            await heard.until(task_id, TaskEventKind.PLANNED)
            await asyncio.sleep(FULL_FOR_S)  # the stream has to stay full for a while
        record = (await door.get(f"/v1/tasks/{task_id}?wait=40")).json()
    assert record["state"] == "succeeded"
    assert [step["agent_id"] for step in record["result"]["steps"]] == [first, second]
    assert record["deliveries"] <= MAX_DELIVERIES
    assert await dead(door) == dead_before


async def dead(door) -> list[int]:
    return [letter["seq"] for letter in (await door.get("/v1/dead?limit=200")).json()["letters"]]

"""However often and however a task is sent under one key, it is one task with one effect."""

import asyncio
from collections import Counter

from schemas import subjects
from schemas.base import id_from_key, new_id
from schemas.parts import text_part
from schemas.task import Priority, TaskEventKind, TaskSubmitted
from tests.stack.agents import agent_on_the_bus, pinned, reply

SUBMIT = subjects.submit("default", Priority.NORMAL)
WINDOW_S = 0.1
"""The shortest duplicate window that the server accepts."""


async def test_a_key_sent_a_hundred_times_at_once_is_one_task_with_one_effect(stack, door, bus, heard):
    key, body = new_id(), {"text": "echo this back, a hundred times"}
    asked = [door.post("/v1/tasks", json=body, headers={"Idempotency-Key": key}) for _ in range(100)]
    answers = await asyncio.gather(*asked)
    assert {answer.json()["task_id"] for answer in answers} == {id_from_key("default", key)}
    assert Counter(answer.status_code in (200, 202) for answer in answers) == {True: 100}
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    await ends_once(stack, door, heard, id_from_key("default", key))


async def test_a_key_sent_again_after_the_duplicate_window_is_still_that_task(stack, door, bus, heard):
    key, body = new_id(), {"text": "echo this back, now and later"}
    task_id = id_from_key("default", key)
    async with stack.limited(subjects.STREAM_TASKS, duplicate_window=WINDOW_S):
        await door.post("/v1/tasks?wait=30", json=body, headers={"Idempotency-Key": key})
        await asyncio.sleep(2 * WINDOW_S)  # the window has to pass
        again = await door.post("/v1/tasks", json=body, headers={"Idempotency-Key": key})
        assert (again.status_code, again.json()["state"]) == (200, "succeeded")
        assert again.headers["Idempotency-Replayed"] == "true"

        task = TaskSubmitted(task_id=task_id, parts=(text_part(body["text"]),))
        async with asyncio.timeout(30):
            while (await publish(bus, task)).duplicate:  # once the bus has forgotten the id, the worker must know it
                await asyncio.sleep(WINDOW_S / 4)
        await stack.until_empty(subjects.STREAM_TASKS)
    await ends_once(stack, door, heard, task_id)


async def test_a_message_sent_again_while_its_task_runs_does_not_run_it_twice(stack, door, bus, heard):
    asked: list[str] = []
    finish = asyncio.Event()

    async def answer(nc, message, invocation) -> None:
        asked.append(invocation["step_id"])
        await finish.wait()
        await nc.publish(message.reply, reply(invocation))

    async with agent_on_the_bus(bus, door, answer, timeouts={"step_s": 30, "attempts": 1}) as agent:
        task = TaskSubmitted.model_validate(
            {"parts": [{"text": "do your one thing"}], "routing": pinned(agent)["routing"]}
        )
        async with stack.limited(subjects.STREAM_TASKS, duplicate_window=WINDOW_S):
            await publish(bus, task)
            await heard.until(task.task_id, TaskEventKind.STEP_STARTED)
            await asyncio.sleep(2 * WINDOW_S)  # the window has to pass
            acks = [await publish(bus, task, str(number)) for number in range(5)]
            assert not any(ack.duplicate for ack in acks)
            async with asyncio.timeout(45):  # all of them are dropped while the first is still worked on
                while (await bus.jetstream().stream_info(subjects.STREAM_TASKS)).state.messages > 1:
                    await asyncio.sleep(0.02)
            finish.set()
            await heard.until(task.task_id, TaskEventKind.SUCCEEDED)
    await stack.until_empty(subjects.STREAM_TASKS)
    assert len(asked) == 1
    assert heard.count(task.task_id, TaskEventKind.SUCCEEDED) == 1


async def publish(bus, task: TaskSubmitted, suffix: str = ""):
    headers = {subjects.HEADER_MESSAGE_ID: task.task_id + suffix}
    return await bus.jetstream().publish(SUBMIT, task.model_dump_json().encode(), headers=headers)


async def ends_once(stack, door, heard, task_id: str) -> None:
    record = (await door.get(f"/v1/tasks/{task_id}?wait=30")).json()
    assert record["state"] == "succeeded"
    await heard.until(task_id, TaskEventKind.SUCCEEDED)
    await stack.until_empty(subjects.STREAM_TASKS)
    assert len(stack.effects_of(task_id)) == 1
    assert heard.count(task_id, TaskEventKind.SUCCEEDED) == 1
    assert (await stack.experience_of(task_id)).success

"""SIGTERM loses nothing and repeats nothing: a step under way is finished, or goes back to the queue at once."""

import asyncio
import signal

import pytest

from schemas import subjects
from schemas.task import TaskEventKind
from tests.stack.agents import agent_on_the_bus, card, pinned, register, unique, until_planned

pytestmark = pytest.mark.timeout(120)


async def test_a_worker_told_to_stop_finishes_its_slow_step_and_acknowledges_it(stack, door, heard, tmp_path):
    sloth = unique("sloth")
    target = f"{stack.folder / 'cards'}/unruly.py:slow"
    await register(door, card(sloth, endpoint={"kind": "python", "target": target}, timeouts={"step_s": 30}))
    body = pinned(sloth, f"take your time|{tmp_path / 'effects'}|1.5")
    await until_planned(door, body)
    task_id = (await door.post("/v1/tasks", json=body)).json()["task_id"]
    began = await heard.until(task_id, TaskEventKind.STEP_STARTED)
    async with asyncio.timeout(60):
        while not (tmp_path / "effects").exists():
            await asyncio.sleep(0.02)

    worker = stack.processes[stack.worker_named(began.worker_id)]
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 60) == 0

    record = (await door.get(f"/v1/tasks/{task_id}?wait=40")).json()
    assert (record["state"], record["worker_id"], record["deliveries"]) == ("succeeded", began.worker_id, 1)
    assert heard.told(task_id)[-1] == "succeeded"
    step = f"{task_id}.{began.data['node']}"
    assert (tmp_path / "effects").read_text().splitlines() == [f"began {step}", f"ended {step}"]
    await door.delete(f"/v1/agents/{sloth}")


async def test_a_step_that_outlasts_the_drain_goes_back_at_once_and_another_worker_does_it(stack, door, bus, heard):
    asked: list[str] = []

    async def answer(nc, message, invocation) -> None:
        asked.append(invocation["step_id"])
        if len(asked) > 1:
            await nc.publish(message.reply, b'{"step_id": "%s", "outputs": [{"text": "ok"}]}' % asked[-1].encode())

    given_back = await bus.subscribe(f"$JS.EVENT.ADVISORY.CONSUMER.MSG_NAKED.{subjects.STREAM_TASKS}.>")
    async with agent_on_the_bus(bus, door, answer, timeouts={"step_s": 120, "attempts": 1}) as agent:
        task_id = (await door.post("/v1/tasks", json=pinned(agent))).json()["task_id"]
        began = await heard.until(task_id, TaskEventKind.STEP_STARTED)
        worker = stack.processes[stack.worker_named(began.worker_id)]
        worker.send_signal(signal.SIGTERM)
        await given_back.next_msg(timeout=stack.drain_s + 30)
        again = await heard.until(task_id, TaskEventKind.STEP_STARTED, lambda event: event.worker_id != began.worker_id)
        record = (await door.get(f"/v1/tasks/{task_id}?wait=60")).json()
        assert await asyncio.to_thread(worker.wait, 60) == 0
    assert (record["state"], record["worker_id"]) == ("succeeded", again.worker_id)
    assert asked == [asked[0]] * 2, "the same step id, by which the agent can tell"

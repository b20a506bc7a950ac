"""While a fleet is upgraded two releases share its bus: what the newer one wrote is read, resumed and remembered."""

import asyncio
import sys

import pytest
from nats.aio.client import Client

from schemas import subjects
from schemas.task import TaskEventKind
from tests.stack import newer_release
from tests.stack.agents import agent_on_the_bus, pinned, until_planned
from tests.stack.live_stack import LiveStack

pytestmark = pytest.mark.timeout(180)


async def only_a_newer_worker(stack: LiveStack) -> None:
    """Kill the workers, and start one of a release to come in place of the first."""
    for name in ("agents-0", "agents-1"):
        stack.kill(name)
    command = [sys.executable, "-P", newer_release.__file__, "serve", "--role", "agents"]
    stack._spawn("agents-0", command)
    await stack.until_ready()


async def wrote_more(bus: Client, task_id: str) -> bool:
    """Whether the task's record holds what this release does not know."""
    bucket = await bus.jetstream(timeout=10).key_value(subjects.BUCKET_TASKS)
    return newer_release.MORE.encode() in ((await bucket.get(subjects.record_key("default", task_id))).value or b"")


async def test_a_task_begun_by_a_newer_worker_is_ended_by_an_older_one_and_remembered(stack, door, bus, heard):
    asked: list[str] = []

    async def answer(nc, message, invocation) -> None:
        asked.append(invocation["step_id"])
        if len(asked) != 2:  # the second task's first try hangs, and its worker is killed
            await nc.publish(message.reply, b'{"step_id": "%s", "outputs": [{"text": "ok"}]}' % asked[-1].encode())

    async with agent_on_the_bus(bus, door, answer, timeouts={"step_s": 60, "attempts": 1}) as agent:
        await only_a_newer_worker(stack)
        await until_planned(door, pinned(agent))
        done = (await door.post("/v1/tasks", json=pinned(agent), params={"wait": 40})).json()
        assert done["state"] == "succeeded"
        assert await wrote_more(bus, done["task_id"])
        record = await stack.experience_of(done["task_id"])
        assert (record.chosen, record.success) == ((agent,), True), (
            "an older evolution role keeps what a newer one tells"
        )

        task_id = (await door.post("/v1/tasks", json=pinned(agent))).json()["task_id"]
        began = await heard.until(task_id, TaskEventKind.STEP_STARTED)
        async with asyncio.timeout(30):
            while len(asked) < 2:
                await asyncio.sleep(0.02)
        assert await wrote_more(bus, task_id)
        stack.kill("agents-0")
        await stack.heal()
        ended = (await door.get(f"/v1/tasks/{task_id}?wait=60")).json()

    assert ended["state"] == "succeeded"
    assert ended["worker_id"] != began.worker_id
    assert asked[1:] == [asked[1]] * 2, "the same step id, by which the agent can tell"
    assert (await stack.experience_of(task_id)).success

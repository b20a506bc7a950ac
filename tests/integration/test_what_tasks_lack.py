"""An agent that says what the task lacks: the client learns what to add, and learning nothing of the agent."""

import json

from agents.matching.live.lessons import dimension_of, lessons_of
from gateway.cli.door.views import record_lines
from schemas.task import TaskEventKind
from tests.stack.agents import agent_on_the_bus, pinned
from tests.stack.still_serving import still_serving  # noqa: F401 - a fixture

MISSING = "This needs a table: attach one, for example sales.csv."


async def asks(nc, message, invocation) -> None:
    error = {"code": "input_required", "message": MISSING, "retryable": True}
    await nc.publish(message.reply, json.dumps({"step_id": invocation["step_id"], "error": error}).encode())


async def test_what_the_task_lacks_is_told_at_the_door_in_events_and_in_experience(stack, door, bus, heard):
    async with agent_on_the_bus(bus, door, asks, timeouts={"step_s": 5, "attempts": 3}) as agent:
        record = (await door.post("/v1/tasks?wait=30", json=pinned(agent))).json()
        failure, [step] = record["failure"], record["result"]["steps"]
        assert (record["state"], failure["code"], failure["retryable"]) == ("failed", "input_required", False)
        assert failure["agent_id"] == agent
        assert failure["message"].endswith(MISSING)
        assert (step["ok"], step["attempts"], step["error_code"]) == (False, 1, "input_required")
        assert any(MISSING in line for line in record_lines(record))
        await heard.until(record["task_id"], TaskEventKind.FAILED)
        assert heard.count(record["task_id"], TaskEventKind.STEP_RETRIED) == 0
        experience = await stack.experience_of(record["task_id"])
    assert (experience.success, experience.failure_code) == (False, "input_required")
    assert dimension_of(experience) > 0
    assert lessons_of(experience, dimension_of(experience)) == []

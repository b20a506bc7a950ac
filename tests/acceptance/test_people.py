"""People in the loop: they approve, deny, cancel and judge, whatever happens to the workers meanwhile."""

import asyncio
from datetime import datetime
from typing import Any

import httpx
import pytest

from schemas import subjects
from schemas.task import TaskEventKind
from tests.stack.agents import agent_on_the_bus, pinned, reply

WAIT = "?wait=40"


async def prompt(nc, message, invocation) -> None:
    """An agent that answers at once and keeps every step id that it was asked for."""
    await nc.publish(message.reply, reply(invocation))


async def submit(door: httpx.AsyncClient, body: dict[str, Any]) -> str:
    answer = await door.post("/v1/tasks", json=body)
    assert answer.status_code == 202, answer.text
    return answer.json()["task_id"]


async def ending(door: httpx.AsyncClient, task_id: str) -> dict[str, Any]:
    return (await door.get(f"/v1/tasks/{task_id}{WAIT}")).json()


def moment(record, name: str) -> datetime:
    return datetime.fromisoformat(record[name])


async def kill_every_worker(stack) -> None:
    for name in ("agents-0", "agents-1"):
        stack.kill(name)
    await stack.heal()


class TestApproval:
    async def test_a_task_that_asks_for_approval_waits_over_the_death_of_every_worker_and_then_goes_on(
        self, stack, door, bus, heard
    ):
        async with agent_on_the_bus(bus, door, prompt) as agent:
            task_id = await submit(door, pinned(agent, requires_approval=True))
            await heard.until(task_id, TaskEventKind.AWAITING_APPROVAL)
            assert (await bus.jetstream().stream_info(subjects.STREAM_TASKS)).state.messages == 0, "nobody holds it"
            await kill_every_worker(stack)
            waiting = (await door.get(f"/v1/tasks/{task_id}")).json()
            assert (waiting["state"], waiting["approvals"]) == ("awaiting_approval", {"task": "pending"})
            assert heard.count(task_id, TaskEventKind.STEP_STARTED) == 0

            approved = await door.post(f"/v1/tasks/{task_id}/approve", json={"actor": "ada"})
            assert approved.status_code == 202
            record = await ending(door, task_id)
        assert (record["state"], record["approvals"]) == ("succeeded", {"task": "approved"})
        assert heard.count(task_id, TaskEventKind.STEP_FINISHED) == 1
        resumed = await heard.until(task_id, TaskEventKind.RESUMED)
        assert [said["actor"] for said in resumed.data["remarks"]] == ["ada"]
        experience = await stack.experience_of(task_id)
        took_ms = 1e3 * (moment(record, "updated_at") - moment(record, "submitted_at")).total_seconds()
        assert record["awaiting_since"] is None
        assert 0 < experience.times.approval_ms == record["awaited_ms"] < took_ms
        assert experience.latency_ms == pytest.approx(took_ms - record["awaited_ms"]), "the task's, not the person's"

    async def test_a_denied_task_ends_with_that_reason_and_no_agent_is_asked(self, door, bus, heard):
        async with agent_on_the_bus(bus, door, prompt) as agent:
            task_id = await submit(door, pinned(agent, requires_approval=True))
            await heard.until(task_id, TaskEventKind.AWAITING_APPROVAL)
            await door.post(
                f"/v1/tasks/{task_id}/approve", json={"approve": False, "actor": "ada", "reason": "too dear"}
            )
            record = await ending(door, task_id)
        assert (record["state"], record["failure"]["code"]) == ("failed", "approval_denied")
        assert "(ada: too dear)" in record["failure"]["message"]
        assert [(said["action"], said["actor"], said["reason"]) for said in record["remarks"]] == [
            ("deny", "ada", "too dear")
        ]
        assert heard.count(task_id, TaskEventKind.STEP_STARTED) == 0

    async def test_a_card_that_asks_for_approval_stops_the_task_before_that_very_step(self, door, bus, heard):
        async with (
            agent_on_the_bus(bus, door, prompt) as free,
            agent_on_the_bus(bus, door, prompt, requires_approval=True) as guarded,
        ):
            body = {"text": "do your one thing", "routing": {"pin": [free, guarded]}}
            task_id = await submit(door, body)
            paused = await heard.until(task_id, TaskEventKind.AWAITING_APPROVAL)
            (step,) = paused.data["nodes"]
            assert heard.count(task_id, TaskEventKind.STEP_FINISHED) == 1
            answer = await door.post(f"/v1/tasks/{task_id}/approve", json={"node": step})
            assert answer.status_code == 202
            record = await ending(door, task_id)
        assert record["state"] == "succeeded"
        assert [outcome["agent_id"] for outcome in record["result"]["steps"]] == [free, guarded]
        assert heard.count(task_id, TaskEventKind.STEP_FINISHED) == 2, (
            "what was done before the pause is not done again"
        )

    async def test_approving_what_does_not_wait_is_a_conflict(self, door):
        task_id = await submit(door, {"text": "echo this back"})
        await ending(door, task_id)
        answer = await door.post(f"/v1/tasks/{task_id}/approve")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_awaiting_approval")


class TestCancelling:
    async def test_a_queued_task_never_starts(self, stack, door, heard):
        with stack.frozen("agents"):
            task_id = await submit(door, {"text": "echo this back"})
            assert (await door.post(f"/v1/tasks/{task_id}/cancel")).status_code == 202
        record = await ending(door, task_id)
        assert (record["state"], record["failure"]["code"]) == ("cancelled", "cancelled")
        assert heard.count(task_id, TaskEventKind.STEP_STARTED) == 0

    async def test_a_running_task_stops_at_once(self, door, bus, heard):
        asked = asyncio.Event()

        async def mute(nc, message, invocation) -> None:
            asked.set()

        async with agent_on_the_bus(bus, door, mute, timeouts={"step_s": 600, "attempts": 1}) as agent:
            task_id = await submit(door, pinned(agent))
            await asyncio.wait_for(asked.wait(), 20)
            await door.post(f"/v1/tasks/{task_id}/cancel", json={"reason": "ordered twice"})
            await heard.until(task_id, TaskEventKind.CANCELLED, timeout_s=5)
            record = await ending(door, task_id)
        assert record["state"] == "cancelled"

    async def test_the_steps_that_had_ended_are_kept(self, stack, door, bus, heard):
        asked = asyncio.Event()

        async def mute(nc, message, invocation) -> None:
            asked.set()

        slow = {"step_s": 600, "attempts": 1}
        async with (
            agent_on_the_bus(bus, door, prompt) as first,
            agent_on_the_bus(bus, door, mute, timeouts=slow) as second,
        ):
            task_id = await submit(door, {"text": "do your one thing", "routing": {"pin": [first, second]}})
            await asyncio.wait_for(asked.wait(), 30)
            await door.post(f"/v1/tasks/{task_id}/cancel")
            record = await ending(door, task_id)
        assert [(step["agent_id"], step["ok"]) for step in record["result"]["steps"]] == [(first, True)]
        left = await stack.experience_of(task_id)
        assert (left.state, [step.agent_id for step in left.steps]) == ("cancelled", [first])

    @pytest.mark.parametrize("ended", ["cancelled", "failed"])
    async def test_the_steps_before_a_wait_for_a_person_are_kept_when_it_ends_the_task(
        self, stack, door, bus, heard, ended
    ):
        async with (
            agent_on_the_bus(bus, door, prompt) as free,
            agent_on_the_bus(bus, door, prompt, requires_approval=True) as guarded,
        ):
            body = {"text": "do your one thing", "routing": {"pin": [free, guarded]}}
            task_id = await submit(door, body)
            paused = await heard.until(task_id, TaskEventKind.AWAITING_APPROVAL)
            if ended == "cancelled":
                await door.post(f"/v1/tasks/{task_id}/cancel")
            else:
                (node,) = paused.data["nodes"]
                await door.post(f"/v1/tasks/{task_id}/approve", json={"approve": False, "node": node})
            record = await ending(door, task_id)
        assert (record["state"], [step["agent_id"] for step in record["result"]["steps"]]) == (ended, [free])
        left = await stack.experience_of(task_id)
        assert ([step.agent_id for step in left.steps], left.vector is None) == ([free], False)

    async def test_a_task_that_waits_for_approval_is_cancelled_too(self, door, bus, heard):
        async with agent_on_the_bus(bus, door, prompt) as agent:
            task_id = await submit(door, pinned(agent, requires_approval=True))
            await heard.until(task_id, TaskEventKind.AWAITING_APPROVAL)
            await door.post(f"/v1/tasks/{task_id}/cancel")
            record = await ending(door, task_id)
        assert record["state"] == "cancelled"
        assert record["awaited_ms"] > 0

    async def test_what_is_over_cannot_be_cancelled(self, door):
        task_id = await submit(door, {"text": "echo this back"})
        await ending(door, task_id)
        answer = await door.post(f"/v1/tasks/{task_id}/cancel")
        assert (answer.status_code, answer.json()["code"]) == (409, "task_finished")


async def test_feedback_is_joined_to_the_record_of_its_task(stack, door):
    task_id = await submit(door, {"text": "echo this back"})
    await ending(door, task_id)
    given = await door.post(f"/v1/tasks/{task_id}/feedback", json={"score": 0.25, "comment": "too literal"})
    assert given.status_code == 202
    (feedback,) = await stack.feedback_on(task_id)
    assert (feedback.score, feedback.comment) == (0.25, "too literal")
    assert (await stack.experience_of(task_id)).task_id == feedback.task_id

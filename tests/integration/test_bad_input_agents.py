"""Agents that misbehave: each gives its task a clear ending, never a crash, never a second effect on the story."""

import asyncio
import json
import time

import pytest

from schemas.task import TaskEventKind
from tests.stack.agents import agent_on_the_bus, card, pinned, register, reply, unique, until_planned
from tests.stack.still_serving import still_serving  # noqa: F401 - a fixture


async def done(door, agent: str, **more) -> dict:
    return (await door.post("/v1/tasks?wait=30", json=pinned(agent, **more))).json()


GARBAGE = {
    "bytes": lambda invocation: bytes(range(256)),
    "nothing": lambda invocation: b"",
    "another shape": lambda invocation: b'{"answer": 42}',
    "neither outputs nor error": lambda invocation: json.dumps({"step_id": invocation["step_id"]}).encode(),
    "a reference to nothing": lambda invocation: json.dumps(
        {"step_id": invocation["step_id"], "outputs": [{"ref": {"digest": f"sha256:{'1' * 64}", "size_bytes": 5}}]}
    ).encode(),
}


@pytest.mark.parametrize("case", GARBAGE)
async def test_an_agent_that_answers_garbage_fails_its_step_with_what_it_said(case, door, bus):
    async def answer(nc, message, invocation) -> None:
        await nc.publish(message.reply, GARBAGE[case](invocation))

    async with agent_on_the_bus(bus, door, answer) as agent:
        record = await done(door, agent)
    assert (record["state"], record["failure"]["code"]) == ("failed", "bad_reply")
    assert record["failure"]["agent_id"] == agent
    (step,) = record["result"]["steps"]
    assert (step["ok"], step["attempts"]) == (False, 1)


async def test_an_agent_that_answers_for_another_step_is_asked_again_and_then_refused(door, bus):
    async def answer(nc, message, invocation) -> None:
        await nc.publish(message.reply, reply(invocation | {"step_id": "other.n1"}))

    async with agent_on_the_bus(bus, door, answer, timeouts={"step_s": 2, "attempts": 2}) as agent:
        record = await done(door, agent)
    assert (record["state"], record["failure"]["code"]) == ("failed", "bad_reply")
    assert record["result"]["steps"][0]["attempts"] == 2


async def test_an_agent_that_answers_late_is_not_believed_but_asked_again(door, bus, heard):
    late: list[asyncio.Task[None]] = []

    async def answer(nc, message, invocation) -> None:
        async def later() -> None:
            await asyncio.sleep(0.8)
            await nc.publish(message.reply, reply(invocation, "late"))

        if invocation["attempt"] == 1:
            late.append(asyncio.create_task(later()))
        else:
            await asyncio.gather(*late)
            await nc.publish(message.reply, reply(invocation, "in time"))

    async with agent_on_the_bus(bus, door, answer, timeouts={"step_s": 0.4, "attempts": 5}) as agent:
        record = await done(door, agent)
    assert [part["text"] for part in record["result"]["outputs"]] == ["in time"]
    assert heard.count(record["task_id"], TaskEventKind.STEP_RETRIED) >= 1
    assert heard.count(record["task_id"], TaskEventKind.STEP_FINISHED) == 1


async def test_an_agent_that_answers_twice_is_heard_once(stack, door, bus, heard):
    async def answer(nc, message, invocation) -> None:
        for text in ("first", "second"):
            await nc.publish(message.reply, reply(invocation, text))

    async with agent_on_the_bus(bus, door, answer) as agent:
        record = await done(door, agent)
        again = await done(door, agent)
    for one in (record, again):
        assert [part["text"] for part in one["result"]["outputs"]] == ["first"]
        assert heard.count(one["task_id"], TaskEventKind.STEP_FINISHED) == 1
        assert heard.count(one["task_id"], TaskEventKind.SUCCEEDED) == 1
    assert (await stack.experience_of(record["task_id"])).success


async def test_an_agent_that_never_answers_costs_its_timeout_times_its_attempts(door, bus, heard):
    async def answer(nc, message, invocation) -> None:
        return

    async with agent_on_the_bus(bus, door, answer, timeouts={"step_s": 0.3, "attempts": 2}) as agent:
        started = time.monotonic()
        record = await done(door, agent)
    assert (record["state"], record["failure"]["code"]) == ("failed", "step_timed_out")
    assert time.monotonic() - started < 8
    assert record["result"]["steps"][0]["attempts"] == 2


async def test_an_agent_that_never_answers_does_not_outlast_the_deadline_of_its_task(stack, door, bus):
    async def answer(nc, message, invocation) -> None:
        return

    async with agent_on_the_bus(bus, door, answer, timeouts={"step_s": 600, "attempts": 3}) as agent:
        record = await done(door, agent, deadline_s=4.0)  # of which planning takes less than half
    assert (record["state"], record["failure"]["code"]) == ("failed", "deadline_exceeded")
    left = await stack.experience_of(record["task_id"])
    assert [(step.agent_id, step.ok, step.error_code) for step in left.steps] == [(agent, False, "deadline_exceeded")]


async def test_an_agent_that_left_is_told_to_be_unreachable(door, bus):
    absent = unique("absent")
    await register(door, card(absent))
    await until_planned(door, pinned(absent))
    record = await done(door, absent)
    assert (record["state"], record["failure"]["code"]) == ("failed", "agent_unreachable")
    assert "nobody listens" in record["failure"]["message"]
    await door.delete(f"/v1/agents/{absent}")


async def test_a_python_agent_that_exits_in_the_middle_of_its_step_leaves_the_worker_alive(stack, door):
    quitter = unique("quitter")
    target = f"{stack.folder / 'cards'}/unruly.py:exits"
    endpoint = {"kind": "python", "target": target}
    await register(door, card(quitter, endpoint=endpoint, timeouts={"step_s": 10, "attempts": 2}))
    await until_planned(door, pinned(quitter))
    record = await done(door, quitter)
    assert (record["state"], record["failure"]["code"]) == ("failed", "agent_unreachable")
    assert "ended before answering" in record["failure"]["message"]
    assert record["result"]["steps"][0]["attempts"] == 2
    await door.delete(f"/v1/agents/{quitter}")


async def test_an_agent_whose_error_fills_a_message_still_gives_its_task_an_ending(stack, door, bus, heard):
    async def answer(nc, message, invocation) -> None:
        error = {"code": "c" * 1000, "message": "no " * 300_000}
        await nc.publish(message.reply, json.dumps({"step_id": invocation["step_id"], "error": error}).encode())

    async with agent_on_the_bus(bus, door, answer) as agent:
        record = await done(door, agent)
        assert (record["state"], record["failure"]["code"]) == ("failed", "step_failed")
        assert record["failure"]["message"].startswith(f"{agent} says: no no")
        assert len(record["failure"]["message"]) < 10_000
        await heard.until(record["task_id"], TaskEventKind.FAILED)
        assert not (await stack.experience_of(record["task_id"])).success


async def test_an_agent_that_answers_more_parts_than_a_record_holds_fails_its_task(door, bus):
    async def answer(nc, message, invocation) -> None:
        outputs = [{"text": "x"}] * 60_000
        await nc.publish(message.reply, json.dumps({"step_id": invocation["step_id"], "outputs": outputs}).encode())

    async with agent_on_the_bus(bus, door, answer) as agent:
        record = await done(door, agent)
    assert (record["state"], record["failure"]["code"]) == ("failed", "result_too_large")


async def test_an_agent_that_answers_characters_which_json_spells_in_six_bytes_is_recorded_by_reference(door, bus):
    async def answer(nc, message, invocation) -> None:
        await nc.publish(message.reply, reply(invocation, "\x01" * 160_000))

    async with agent_on_the_bus(bus, door, answer) as agent:
        record = await done(door, agent)
    assert record["state"] == "succeeded", record["failure"]
    assert record["result"]["outputs"][0]["ref"]["size_bytes"] == 160_000

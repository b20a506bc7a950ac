"""Attachments that are not what they should be: refused with words about the very file, by both doors."""

import base64
import json

import pytest

from schemas import subjects
from schemas.base import new_id
from schemas.task import Priority, TaskEventKind
from tests.stack.agents import agent_on_the_bus, reply
from tests.stack.live_stack import ATTACHMENT_BYTES, INPUTS
from tests.stack.still_serving import still_serving  # noqa: F401 - a fixture

MIB = 1024 * 1024
DAMAGED = {
    "truncated.png": "truncated",
    "empty.wav": "empty",
    "no_samples.wav": "",
    "not_audio.wav": "",
    "encrypted.pdf": "password",
    "damaged.pdf": "",
    "damaged.docx": "",
}


@pytest.mark.parametrize("name", DAMAGED)
async def test_over_http_a_damaged_file_is_refused_at_once_and_the_problem_says_which_and_why(name, door):
    files = {"file": (name, (INPUTS / "bad" / name).read_bytes())}
    answer = await door.post("/v1/tasks?wait=30", data={"text": "What is in this file?"}, files=files)
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["code"]) == (422, "unreadable_part")
    assert name in problem["detail"]
    assert DAMAGED[name] in problem["detail"]


async def test_a_damaged_file_too_large_to_be_looked_at_by_the_door_rejects_its_task(stack, door, heard):
    """Workers look at everything. The door of this stack decodes attachments of up to 64 KiB."""
    content = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 1_024
    files = {"file": ("large.png", content)}
    record = (await door.post("/v1/tasks?wait=30", data={"text": "What is in this file?"}, files=files)).json()
    assert (record["state"], record["failure"]["code"]) == ("rejected", "unreadable_part")
    assert "large.png" in record["failure"]["message"]
    rejected = await heard.until(record["task_id"], TaskEventKind.REJECTED)
    assert rejected.data["failure"] == record["failure"]


@pytest.mark.parametrize("name", DAMAGED)
async def test_on_the_bus_a_damaged_file_rejects_the_task_and_says_which_and_why(name, bus, heard):
    task_id = new_id()
    content = base64.b64encode((INPUTS / "bad" / name).read_bytes()).decode()
    body = {"task_id": task_id, "parts": [{"text": "What is in this file?"}, {"name": name, "data": content}]}
    await bus.jetstream().publish(subjects.submit("default", Priority.NORMAL), json.dumps(body).encode())
    rejected = await heard.until(task_id, TaskEventKind.REJECTED)
    assert rejected.data["failure"]["code"] == "unreadable_part"
    assert name in rejected.data["failure"]["message"]


async def test_a_text_of_one_megabyte_reaches_its_agent_by_reference(door, bus):
    text = ("word " * MIB)[:MIB]

    async def fetch(nc, message, invocation) -> None:
        (ref,) = [part["ref"] for part in invocation["inputs"] if part.get("ref")]
        content = (await door.get(ref["url"])).text
        await nc.publish(message.reply, reply(invocation, f"{len(content)} {content == text}"))

    async with agent_on_the_bus(bus, door, fetch, timeouts={"step_s": 20, "attempts": 1}) as agent:
        body = {"parts": [{"text": "count the characters"}, {"text": text}], "routing": {"pin": [agent]}}
        record = (await door.post("/v1/tasks?wait=40", json=body)).json()
    assert record["state"] == "succeeded", record["failure"]
    assert [part["text"] for part in record["result"]["outputs"]] == [f"{MIB} True"]


async def test_a_text_just_below_the_inline_limit_is_planned_done_and_recorded(stack, door):
    body = {"text": "echo this back: " + "word " * 50_000}
    record = (await door.post("/v1/tasks?wait=40", json=body)).json()
    assert record["state"] == "succeeded", record["failure"]
    explained = await door.post("/v1/explain", json=body)
    assert explained.status_code == 200
    assert (await stack.experience_of(record["task_id"])).success


async def test_a_json_body_past_its_limit_is_refused_at_once(door):
    answer = await door.post("/v1/tasks", json={"text": "word " * 2 * MIB})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/blobs"])
async def test_an_attachment_over_the_limit_is_refused_and_not_kept(path, stack, door):
    content = b"\x00" * (ATTACHMENT_BYTES + 1)
    if path == "/v1/tasks":
        answer = await door.post(path, data={"text": "what is this?"}, files={"file": ("big.bin", content)})
    else:
        answer = await door.post(path, content=content)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (413, "attachment_too_large")
    assert str(ATTACHMENT_BYTES) in problem["detail"].replace(",", "")
    kept = [file for file in (stack.folder / "data" / "blobs").rglob("*") if file.is_file()]
    assert all(file.stat().st_size <= ATTACHMENT_BYTES for file in kept)

"""Requests that are no tasks: a clear refusal at the HTTP door, a rejection told on the bus, and nothing is lost."""

import base64
import json

import nats.js.errors
import pytest

from schemas import subjects
from schemas.base import new_id
from schemas.task import Priority, TaskEventKind
from tests.stack.still_serving import still_serving  # noqa: F401 - a fixture

SUBMIT = subjects.submit("default", Priority.NORMAL)
NOWHERE = {"digest": f"sha256:{'0' * 64}", "size_bytes": 10}

BAD_BODIES = {
    "invalid JSON": (b'{"text": "hel', 400, "invalid_json", ""),
    "not UTF-8": (b'{"text": "\xff\xfe"}', 400, "invalid_json", ""),
    "a list instead of an object": (b"[1, 2]", 422, "schema_invalid", "body"),
    "wrong schema": (b'{"parts": "none"}', 422, "schema_invalid", "parts"),
    "unknown field": (b'{"text": "hello", "colour": "red"}', 422, "schema_invalid", "colour"),
    "empty task": (b'{"text": "  \\n "}', 422, "schema_invalid", "body"),
    "no parts at all": (b"{}", 422, "schema_invalid", "body"),
    "unknown priority": (b'{"text": "hello", "priority": "urgent"}', 422, "schema_invalid", "priority"),
    "two contents in one part": (b'{"parts": [{"text": "a", "data": "YQ=="}]}', 422, "schema_invalid", "parts[0]"),
    "data that is not base64": (b'{"parts": [{"data": "%%%"}]}', 422, "schema_invalid", "parts[0].data"),
    "a path as a name": (b'{"parts": [{"text": "a", "name": "../x"}]}', 422, "schema_invalid", "parts[0].name"),
    "a deadline of nothing": (b'{"text": "hello", "deadline_s": 0}', 422, "schema_invalid", "deadline_s"),
}


@pytest.mark.parametrize("case", BAD_BODIES)
async def test_the_door_refuses_with_a_problem_that_names_the_field(case, door):
    body, status, code, field = BAD_BODIES[case]
    answer = await door.post("/v1/tasks", content=body, headers={"Content-Type": "application/json"})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["detail"]
    assert [item["field"] for item in problem.get("fields", [])][:1] == ([field] if field else [])


async def test_the_door_refuses_a_reference_to_nothing(door):
    answer = await door.post("/v1/tasks", json={"parts": [{"text": "read this"}, {"ref": NOWHERE}]})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "attachment_missing")
    assert "POST /v1/blobs" in problem["next_step"]


async def test_the_door_refuses_a_tenant_that_is_none(stack, door):
    answer = await door.post("/v1/tasks", json={"text": "hello"}, headers={"X-AOS-Tenant": "a.b"})
    assert (answer.status_code, answer.json()["code"]) == (400, "tenant_invalid")


def told(body: dict, **more) -> bytes:
    return json.dumps({"task_id": new_id(), "parts": [{"text": "hello"}]} | body | more).encode()


BAD_MESSAGES = {
    "invalid JSON": (lambda: b'{"parts": [', "JSON"),
    "not even text": (lambda: bytes(range(256)), ""),
    "wrong schema": (lambda: told({"parts": "none"}), "parts"),
    "unknown field": (lambda: told({"colour": "red"}), "colour"),
    "empty task": (lambda: told({"parts": [{"text": " "}]}), "empty"),
    "unknown priority": (lambda: told({"priority": "urgent"}), "priority"),
    "another tenant than its subject": (lambda: told({"tenant": "somebody-else"}), "tenant"),
    "an id that cannot stand in a subject": (lambda: told({"task_id": "a.b.*"}), "task_id"),
}


@pytest.mark.parametrize("case", BAD_MESSAGES)
async def test_the_bus_tells_a_rejection_and_the_message_is_kept_with_its_reason(case, door, bus, heard):
    make, words = BAD_MESSAGES[case]
    payload = make()
    ack = await bus.jetstream().publish(SUBMIT, payload)
    rejected = await heard.until_any(TaskEventKind.REJECTED)
    assert rejected.data["code"] == "invalid_task"
    assert words in rejected.data["problem"]
    assert rejected.data["next_step"]
    expected = _claimed(payload) or f"invalid-{ack.seq}"
    assert rejected.task_id == expected

    letters = (await door.get("/v1/dead?limit=5")).json()["letters"]
    letter = next(letter for letter in letters if letter["task_id"] == expected)
    shown = (await door.get(f"/v1/dead/{letter['seq']}")).json()
    assert base64.b64decode(shown["payload"]) == payload
    assert (shown["code"], shown["subject"]) == ("invalid_task", SUBMIT)


async def test_a_rejected_message_is_told_over_http_too(door, bus, heard):
    payload = told({"colour": "red"})
    await bus.jetstream().publish(SUBMIT, payload)
    await heard.until_any(TaskEventKind.REJECTED)
    answer = await door.get(f"/v1/tasks/{_claimed(payload)}/events")
    assert answer.status_code == 200
    assert "event: rejected" in answer.text


async def test_the_bus_rejects_a_reference_to_nothing(door, bus, heard):
    task_id = new_id()
    body = told({"task_id": task_id, "parts": [{"text": "read this"}, {"ref": NOWHERE}]})
    await bus.jetstream().publish(SUBMIT, body)
    rejected = await heard.until(task_id, TaskEventKind.REJECTED)
    assert rejected.data["failure"]["code"] == "attachment_missing"
    record = (await door.get(f"/v1/tasks/{task_id}")).json()
    assert (record["state"], record["failure"]["code"]) == ("rejected", "attachment_missing")


async def test_a_lane_that_does_not_exist_takes_nothing(bus):
    """A message that no worker pulls would lie in the queue for ever."""
    with pytest.raises(nats.js.errors.NoStreamResponseError):
        await bus.jetstream().publish("aos.default.task.submit.urgent", told({}))


@pytest.mark.parametrize("kind", ["garbage", "task"])
async def test_a_megabyte_of_text_is_rejected_with_what_to_do_instead(kind, door, bus, heard):
    large = b"x" * 1_048_576
    payload = large if kind == "garbage" else told({"parts": [{"text": large.decode()}]})
    ack = await bus.jetstream().publish(SUBMIT, payload)
    rejected = await heard.until_any(TaskEventKind.REJECTED)
    assert rejected.task_id == (_claimed(payload) or f"invalid-{ack.seq}")
    assert str(len(payload)) in rejected.data["problem"]
    assert "/v1/blobs" in rejected.data["problem"]
    letters = (await door.get("/v1/dead?limit=5")).json()["letters"]
    assert rejected.task_id in [letter["task_id"] for letter in letters]


async def test_what_could_not_be_kept_as_a_dead_letter_is_refused_by_the_bus_at_once(bus):
    with pytest.raises(nats.js.errors.APIError, match="maximum"):
        await bus.jetstream().publish(SUBMIT, b"x" * 2_500_000)


async def test_the_largest_message_that_the_bus_takes_can_still_be_rejected_and_sent_round_again(door, bus, heard):
    config = (await bus.jetstream().stream_info(subjects.STREAM_TASKS)).config
    payload = b'{"task_id": "' + (task_id := new_id()).encode() + b'", "parts": "' + b"x" * 2_500_000
    payload = payload[: config.max_msg_size - 100]
    ack = await bus.jetstream().publish(SUBMIT, payload)
    rejected = await heard.until_any(TaskEventKind.REJECTED)
    assert rejected.task_id in (task_id, f"invalid-{ack.seq}")
    (letter,) = [x for x in (await door.get("/v1/dead?limit=5")).json()["letters"] if x["task_id"] == rejected.task_id]
    assert (await door.post(f"/v1/dead/{letter['seq']}/redrive")).status_code == 202


def _claimed(payload: bytes) -> str | None:
    try:
        claimed = json.loads(payload)["task_id"]
    except ValueError:
        return None
    return claimed if "." not in claimed else None

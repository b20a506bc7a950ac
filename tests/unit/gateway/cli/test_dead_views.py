"""A dead letter is shown so that a person can read it, whatever the message was."""

import base64
import json

import pytest

from gateway.cli.dead.letter import letter_lines
from schemas import subjects
from schemas.parts import text_part
from schemas.task import TaskSubmitted
from schemas.wire import encode


def shown(message: bytes, kind: str = "application/json", **more: object) -> str:
    letter = {
        "seq": 7,
        "task_id": "t1",
        "code": "too_many_deliveries",
        "reason": "a worker died of it",
        "payload": base64.b64encode(message).decode(),
        "content_type": kind,
    }
    return "\n".join(letter_lines(letter | more))


def test_json_is_indented_and_never_base64():
    message = json.dumps({"parts": [{"text": "Grüße"}], "priority": "high"}).encode()
    said = shown(message)
    assert '      "text": "Grüße"' in said
    assert f"application/json, {len(message)} bytes" in said
    assert base64.b64encode(message).decode() not in said
    assert "payload" not in said
    assert said.startswith("seq        7\n")
    assert said.endswith("→ aos dead redrive 7")
    assert "redriven as it is, it would be refused again" in shown(message, code="invalid_task")


def test_long_values_are_cut_and_say_where_the_rest_is():
    said = shown(json.dumps({"parts": [{"data": "A" * 100_000}], "after": 1}).encode())
    assert len(said) < 1000
    assert "(100000 characters; --json has all)" in said
    assert '"after": 1' in said
    assert len(shown(json.dumps(list(range(100_000))).encode())) < 6000


def test_a_task_in_protobuf_is_read_as_one():
    task = TaskSubmitted(parts=(text_part("what is 2 + 2?"),))
    assert '"text": "what is 2 + 2?"' in shown(encode(task, subjects.CONTENT_PROTOBUF), subjects.CONTENT_PROTOBUF)


@pytest.mark.parametrize("kind", ["application/json", "text/plain"])
def test_what_is_no_json_is_shown_as_the_text_that_it_is(kind: str):
    assert '  {"parts": [\n  not json' in shown(b'{"parts": [\nnot json', kind)


def test_nothing_that_strangers_wrote_reaches_the_terminal_as_a_command():
    said = shown(b"\x1b[2Jgone", reason="\x1b]0;title\x07")
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "\\x1b[2Jgone" in said
    assert "\x1b" not in shown(b'{"text": "\\u001b[2J\\u009b"}')


@pytest.mark.parametrize("message", [b"\x89PNG\r\n\x1a\n\xff\xfe", b"a\0b", b"\xff" * 1000])
@pytest.mark.parametrize("kind", ["application/json", "application/x-protobuf"])
def test_binary_is_not_printed_but_said_how_to_be_had(message: bytes, kind: str):
    said = shown(message, kind)
    assert f"{kind}, {len(message)} bytes, no text" in said
    assert "aos dead show 7 --json | jq -r .payload | base64 -d" in said


def test_an_empty_and_a_damaged_message_are_told():
    assert "message    empty" in shown(b"")
    assert "message    empty" in shown(b"", payload=None)
    assert "message    damaged" in shown(b"", payload="%%%")

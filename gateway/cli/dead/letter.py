"""A dead letter for people: what was given up and why, and the message as far as it can be read. Plain functions.

``--json`` shows the letter as it is kept, with the whole message in base64; here long values are cut.
"""

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from schemas import subjects
from schemas.task import TaskSubmitted
from schemas.wire import decode

SHOWN_CHARACTERS = 4000
SHOWN_OF_A_VALUE = 300
NEVER_A_TASK = "invalid_task"
BESIDE_THE_FACTS = ("payload", "content_type")


def letter_lines(letter: Mapping[str, Any]) -> Iterator[str]:
    """The facts, the message, and what can be done about it."""
    for name, value in letter.items():
        if name not in BESIDE_THE_FACTS:
            yield f"{name:10} {printable(str(value))}"
    yield ""
    yield from _message_lines(letter)
    if letter["code"] == NEVER_A_TASK:
        yield "→ send it again as the reason says; redriven as it is, it would be refused again"
    else:
        yield f"→ aos dead redrive {letter['seq']}"


def printable(text: str) -> str:
    """The text without what moves a terminal's cursor or colours it: strangers wrote it."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else f"\\x{ord(sign):02x}" for sign in text)


def _message_lines(letter: Mapping[str, Any]) -> Iterator[str]:
    kind, payload = letter.get("content_type") or subjects.CONTENT_JSON, letter.get("payload")
    try:
        message = base64.b64decode(payload or "", validate=True)
    except binascii.Error:
        yield "message    damaged: what was kept of it is no base64"
        return
    if not message:
        yield "message    empty"
        return
    readable = _as_json(message, kind) or _as_text(message)
    yield f"message    {printable(kind)}, {len(message)} bytes{'' if readable else ', no text'}"
    if readable is None:
        yield f"           aos dead show {letter['seq']} --json | jq -r .payload | base64 -d > message.bin"
        return
    for line in _cut(readable, SHOWN_CHARACTERS).splitlines():
        yield f"  {line}"


def _as_json(message: bytes, kind: str) -> str | None:
    """Indented, with long values cut; protobuf tasks, too. None for what is neither."""
    try:
        if subjects.CONTENT_PROTOBUF in kind:
            value = decode(TaskSubmitted, message, kind).model_dump(mode="json", exclude_defaults=True)
        else:
            value = json.loads(message)
    except (ValueError, ValidationError, RecursionError):
        return None
    return printable(json.dumps(_shortened(value), indent=2, ensure_ascii=False))


def _as_text(message: bytes) -> str | None:
    """None for what is no text: not UTF-8, or with zero bytes in it."""
    try:
        text = message.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else printable(text)


def _shortened(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return _cut(value, SHOWN_OF_A_VALUE)
    if isinstance(value, list):
        return [_shortened(each) for each in value]
    if isinstance(value, dict):
        return {name: _shortened(each) for name, each in value.items()}
    return value


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters; --json has all)"

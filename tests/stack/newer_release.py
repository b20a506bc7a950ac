"""The command line of a release to come: whatever it writes carries, at every depth, a field that this one lacks.

Run as ``python newer_release.py serve --role agents``, beside processes of this release on the same bus.
"""

import json
from typing import Any

from gateway.cli.main import main
from schemas.base import Message

MORE = "known_to_the_next_release"

_written = Message.model_dump_json


def _with_more(message: Message, **how: Any) -> str:
    return json.dumps(_marked(message, json.loads(_written(message, **how))))


def _marked(message: Message, told: dict[str, Any]) -> dict[str, Any]:
    for name in type(message).model_fields.keys() & told.keys():
        match getattr(message, name), told[name]:
            case Message() as inner, dict() as values:
                _marked(inner, values)
            case tuple() as several, list() as rows:
                for inner, values in zip(several, rows, strict=True):
                    if isinstance(inner, Message):
                        _marked(inner, values)
    told[MORE] = {"of": type(message).__name__}
    return told


if __name__ == "__main__":
    Message.model_dump_json = _with_more  # type: ignore[assignment,method-assign]
    main()

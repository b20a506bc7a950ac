"""pydantic's errors in the words of problem JSON. Used by whoever answers a request: the doors, the bus services."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from schemas.problem import FieldProblem

FIELDS_MAX = 50
"""More than so many are not told: whoever sent them all made the same mistake many times."""
_NAME_CHARACTERS = 200


def field_problems(errors: Sequence[Any], model: type[BaseModel] | None = None) -> tuple[FieldProblem, ...]:
    """Which field, what is wrong, what was expected, an example: of each of pydantic's first ``errors``."""
    return tuple(_field(error, model) for error in errors[:FIELDS_MAX])


def told(fields: tuple[FieldProblem, ...]) -> str:
    """The fields' problems in one line."""
    return "; ".join(f"{field.field}: {field.problem}" for field in fields[:3])


def _field(error: Mapping[str, Any], model: type[BaseModel] | None) -> FieldProblem:
    location = error["loc"]
    message = str(error["msg"]).removeprefix("Value error, ")
    top = model.model_fields.get(str(location[0])) if model and location else None
    example = top.examples[0] if top is not None and top.examples else None
    return FieldProblem(
        field=_path(location) or "body",
        problem="unknown field" if error["type"] == "extra_forbidden" else message,
        expected=_expected(error, message, model if len(location) == 1 else None),
        example=example,
    )


def _path(location: Sequence[str | int]) -> str:
    """``parts[0].data``: the notation that refused cards use too."""
    path = ""
    for step in location:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    return path if len(path) <= _NAME_CHARACTERS else f"{path[:_NAME_CHARACTERS]}…"


def _expected(error: Mapping[str, Any], message: str, model: type[BaseModel] | None) -> str:
    if error["type"] == "extra_forbidden":
        return f"one of {', '.join(model.model_fields)}" if model else "no such field"
    if error["type"] == "missing":
        return "a value"
    wanted, _, _ = message.partition(", unable to parse")
    return wanted.removeprefix("Input should be ") if wanted.startswith("Input should be ") else ""

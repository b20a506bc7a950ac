"""Turns what is wrong with a card into words: where, what, what was expected, an example. Called by ``card_files``."""

import difflib
from collections.abc import Iterable
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from agents.errors import CardInvalid, CardProblem
from agents.registry.card_guide import guide_of
from agents.registry.card_text import CardText, TextRefused
from schemas.card import AgentCard, Cost, HttpEndpoint, NatsEndpoint, OpenAIEndpoint, PythonEndpoint, Skill, Timeouts

FieldPath = tuple[str | int, ...]

_ENDPOINTS: dict[str, type[BaseModel]] = {
    "nats": NatsEndpoint,
    "python": PythonEndpoint,
    "http": HttpEndpoint,
    "openai": OpenAIEndpoint,
}
_PARTS: dict[str, type[BaseModel]] = {"skills": Skill, "timeouts": Timeouts, "cost": Cost}
_SHOWN_CHARACTERS = 60
_MOST_PROBLEMS = 50


def refused(source: str, problems: Iterable[CardProblem]) -> CardInvalid:
    """The refusal of one card (or of several that contradict each other), its message one line a problem."""
    listed = tuple(problems)[:_MOST_PROBLEMS]
    count = "one problem" if len(listed) == 1 else f"{len(listed)} problems"
    message = "\n".join([f"{source or 'the card'} is refused, {count}:", *(f"  {problem}" for problem in listed)])
    return CardInvalid(message, listed)


def unreadable(file: str, problem: str) -> CardProblem:
    """The file cannot be read at all."""
    return CardProblem(file, 1, "(file)", problem, "a readable file", "agents/ocr.yaml")


def of_text(refusal: TextRefused, source: str) -> CardProblem:
    """The text is no plain data."""
    where = dotted(refusal.path) or "(file)"
    return CardProblem(source, refusal.line, where, refusal.problem, refusal.expected, refusal.example)


def of_validation(error: ValidationError, written: CardText, source: str) -> list[CardProblem]:
    """One problem for each wrong field, in the order of lines."""
    details = error.errors(include_url=False)
    problems = [_of_field(each, written, source) for each in details if not _only_follows(each, details)]
    return sorted(problems, key=lambda problem: problem.line)


def dotted(path: FieldPath) -> str:
    """``skills[0].inputs[1]``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def _only_follows(each: ErrorDetails, all_details: list[ErrorDetails]) -> bool:
    """A list whose items are all wrong is also said to be too short: that helps nobody."""
    location = each["loc"]
    return each["type"] == "too_short" and any(
        other["loc"][: len(location)] == location and len(other["loc"]) > len(location) for other in all_details
    )


def _of_field(details: ErrorDetails, written: CardText, source: str) -> CardProblem:
    path = _written_path(details["loc"])
    if details["type"] in ("union_tag_invalid", "union_tag_not_found"):
        path = (*path, "kind")
    if details["type"] == "extra_forbidden":
        problem, expected, example = _unknown_field(path, written)
    else:
        guide = guide_of(path)
        problem, expected, example = _problem(details), guide.expected, guide.example
    return CardProblem(source, written.line_of(path), dotted(path) or "(card)", problem, expected, example)


def _problem(details: ErrorDetails) -> str:
    given = details["input"]
    match details["type"]:
        case "missing" | "union_tag_not_found":
            return "is missing"
        case "value_error":
            return details["msg"].removeprefix("Value error, ")
        case "union_tag_invalid":
            return f"is {_shown(details['ctx']['tag'])}"
        case "string_type" if isinstance(given, bool | int | float):
            return f"is {_shown(given)}, which YAML reads as no text: write it in quotes"
        case "string_pattern_mismatch":
            return f"is {_shown(given)}, which does not fit"
    words = details["msg"].replace("Tuple should", "should").replace("Input should", "should")
    return f"is {_shown(given)}: {words}"


def _shown(given: object) -> str:
    if isinstance(given, list | tuple):
        return f"a list of {len(given)}"
    if isinstance(given, dict):
        return "a mapping"
    shown = "empty" if given is None else repr(given)
    return shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "…"


def _unknown_field(path: FieldPath, written: CardText) -> tuple[str, str, str]:
    known = _fields_beside(path, written)
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    problem = "is no field here" + (f"; did you mean '{close[0]}'?" if close else "")
    nearest = guide_of((*path[:-1], close[0])) if close else guide_of(path[:-1])
    return problem, "one of " + ", ".join(known), nearest.example


def _fields_beside(path: FieldPath, written: CardText) -> list[str]:
    if len(path) == 1:
        return list(AgentCard.model_fields)
    if path[0] == "endpoint":
        endpoint = cast(dict[str, Any], written.data["endpoint"])
        return list(_ENDPOINTS[endpoint["kind"]].model_fields)
    return list(_PARTS[str(path[0])].model_fields)


def _written_path(location: FieldPath) -> FieldPath:
    """Where the field stands in the file: pydantic puts in the name of the endpoint's kind, and marks keys."""
    if len(location) > 1 and location[0] == "endpoint" and location[1] in _ENDPOINTS:
        location = ("endpoint", *location[2:])
    return tuple(part for part in location if part != "[key]")

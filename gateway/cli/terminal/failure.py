"""How a command says that it could not do what was asked: exit code, message, next step. Raised all over the CLI."""

import json
import sys
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """What scripts can rely on."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    STILL_RUNNING = 5
    AWAITING_APPROVAL = 6
    INTERRUPTED = 130


class Failed(Exception):
    """A command that ends with something other than success. ``problem`` is the gateway's own JSON, if it sent one."""

    def __init__(
        self,
        title: str,
        *,
        exit_code: ExitCode = ExitCode.FAILED,
        code: str = "",
        detail: str = "",
        next_step: str = "",
        problem: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(title)
        self.title = title
        self.exit_code = exit_code
        self.code = code
        self.detail = detail
        self.next_step = next_step
        self.problem = problem


def report(failure: Failed, *, as_json: bool) -> int:
    """Print the failure to standard error, for people or as problem JSON, and give back the exit code."""
    if as_json:
        print(json.dumps(failure.problem or _as_problem(failure)), file=sys.stderr)  # noqa: T201 - the CLI's own voice
    else:
        print("\n".join(_lines(failure)), file=sys.stderr)  # noqa: T201
    return int(failure.exit_code)


def _as_problem(failure: Failed) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": failure.title,
        "code": failure.code,
        "detail": failure.detail,
        "next_step": failure.next_step,
    }


def _lines(failure: Failed) -> list[str]:
    lines = [f"aos: {failure.title}"]
    if failure.detail and failure.detail != failure.title:
        lines.append(f"  {failure.detail}")
    fields = (failure.problem or {}).get("fields", ())
    lines.extend(_field_line(field) for field in fields if field.get("problem") not in failure.detail)
    if failure.next_step:
        lines.append(f"  → {failure.next_step}")
    return lines


def _field_line(field: dict[str, Any]) -> str:
    expected = f" (expected {field['expected']})" if field.get("expected") else ""
    example = f", for example {json.dumps(field['example'])}" if field.get("example") is not None else ""
    return f"  {field.get('field', '?')}: {field.get('problem', '')}{expected}{example}"

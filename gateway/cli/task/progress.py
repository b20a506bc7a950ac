"""A task's events as live progress: steps tick off on a terminal, plain lines elsewhere. Used by ``following``."""

import sys
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self, TextIO

Json = dict[str, Any]

RUNNING, DONE, FAILED = "…", "✓", "✗"


class Progress:
    """Prints one line for each stage and step to standard error, so that standard output holds only the result."""

    def __init__(self, *, silent: bool, out: TextIO | None = None) -> None:
        self._silent = silent
        self._out = out or sys.stderr
        self._open_line = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._open_line:
            self._write("\n")

    def show(self, event: Json) -> None:
        """Print the event; a step that ends replaces the line that said it had begun, where the terminal can."""
        if self._silent:
            return
        for line in lines_of(event):
            if self._open_line and self._out.isatty():
                self._write("\r\033[K")
            elif self._open_line:
                self._write("\n")
            still_open = line.startswith(RUNNING)
            self._write(line if still_open else line + "\n")
            self._open_line = line if still_open else ""

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def lines_of(event: Json) -> Iterator[str]:
    """What people read of one event. Plain text; unknown kinds are shown by their name."""
    kind, data = str(event["kind"]), event.get("data", {})
    if kind == "step_started":
        yield f"{RUNNING} {_step(data)}"
    elif kind == "step_finished":
        failed = data.get("ok") is False
        yield f"{FAILED if failed else DONE} {_step(data)}{_took(data)}{_error(data)}"
    elif kind == "step_retried":
        yield f"{RUNNING} {_step(data)} again{_error(data)}"
    elif kind in ("failed", "rejected", "dead", "cancelled"):
        yield f"{FAILED} {kind}{_error(data)}"
    elif kind == "awaiting_approval":
        yield f"! waits for a person's approval{_named(data, 'nodes', 'waiting_for')}"
    else:
        yield f"{DONE} {kind.replace('_', ' ')}{_named(data, 'candidates', 'chosen', 'nodes')}{_took(data)}"


def _step(data: Json) -> str:
    node = data.get("node") or data.get("step_id") or "step"
    agent = data.get("agent_id")
    return f"{node} ({agent})" if agent and agent != node else str(node)


def _took(data: Json) -> str:
    for name in ("latency_ms", "took_ms", "duration_ms"):
        if isinstance(data.get(name), int | float):
            return f"  {data[name]:.0f} ms"
    return ""


def _error(data: Json) -> str:
    reason = data.get("error") or data.get("message") or data.get("reason") or data.get("failure", {}).get("message")
    return f": {reason}" if reason else ""


def _named(data: Json, *names: str) -> str:
    for name in names:
        value = data.get(name)
        if isinstance(value, list) and value:
            words = [item.get("agent_id", "?") if isinstance(item, dict) else str(item) for item in value[:4]]
            return ": " + ", ".join(words)
    return ""

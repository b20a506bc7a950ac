"""Windows of time as people write them on the command line: 24h, 7d, 2026-11-01, 2026-11-01..2026-11-08, 14d..7d."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from gateway.cli.terminal.failure import ExitCode, Failed

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_EXPECTED = (
    "expected how far back (30m, 24h, 7d, 2w), since when (2026-11-01, 2026-11-01T12:00), or from..until "
    "(2026-11-01..2026-11-08, 14d..7d); moments without an offset are UTC"
)

_OPTION = typer.Option("--window", help="24h, 7d; since 2026-11-01; from..until 2026-11-01..2026-11-08 or 14d..7d.")
Window = Annotated[str, _OPTION]
AnyWindow = Annotated[str | None, _OPTION]
"""Without it, all time."""


@dataclass(frozen=True, slots=True)
class Span:
    """From ``since`` on, up to but without ``until``; None: up to now."""

    since: datetime
    until: datetime | None = None


def span(window: str) -> Span:
    """The time that the window says. Raises Failed for one that says none, is empty, or begins in the future."""
    now = datetime.now(UTC)
    first, dots, last = window.strip().partition("..")
    since = _moment(first, window, now)
    until = _moment(last, window, now) if dots else None
    if since >= now:
        raise Failed(f"{window!r} begins in the future", exit_code=ExitCode.USAGE, detail=_EXPECTED)
    if until is not None and until <= since:
        raise Failed(f"{window!r} ends before it begins", exit_code=ExitCode.USAGE, detail=_EXPECTED)
    return Span(since, until)


def _moment(word: str, window: str, now: datetime) -> datetime:
    """So long ago, or that moment."""
    found = _LENGTH.fullmatch(word.strip().lower())
    try:
        if found is None:
            moment = datetime.fromisoformat(word.strip())
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if not float(found[1]):
            raise ValueError("of no length")
        return now - timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError as error:
        raise Failed(f"{window!r} is too long", exit_code=ExitCode.USAGE) from error
    except ValueError as error:
        raise Failed(f"{window!r} is no window", exit_code=ExitCode.USAGE, detail=_EXPECTED) from error

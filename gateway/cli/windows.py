"""Lengths of time as people write them on the command line: 30m, 24h, 7d."""

import re
from datetime import UTC, datetime, timedelta

from gateway.cli.failure import ExitCode, Failed

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_WINDOW = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")


def length_of(window: str) -> timedelta:
    """``7d`` as a length of time. Raises Failed."""
    found = _WINDOW.fullmatch(window.strip().lower())
    if found is None or float(found[1]) == 0:
        raise Failed(f"{window!r} is no window", exit_code=ExitCode.USAGE, detail="expected 30m, 24h, 7d or 2w")
    try:
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError as error:
        raise Failed(f"{window!r} is too long", exit_code=ExitCode.USAGE) from error


def since(window: str) -> datetime:
    """When a window that ends now began. Raises Failed."""
    try:
        return datetime.now(UTC) - length_of(window)
    except OverflowError as error:
        raise Failed(f"{window!r} is too long", exit_code=ExitCode.USAGE) from error

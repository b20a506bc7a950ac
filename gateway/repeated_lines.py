"""Keeps a log readable while something fails again and again: the first lines of a kind, then how many there were.

An outage of the bus makes every loop of a process say so at each of its tries. Used by ``log_lines``.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

PERIOD_S = 30.0
TROUBLES, NEWS = 5, 50
"""So many lines of a kind are written in a period: of warnings and errors, and of what is no trouble."""

Kind = tuple[str, int, str]
"""Logger, level, and the message before its arguments are put in: what differs in a name only is the same thing."""


@dataclass(slots=True)
class _Period:
    since: float
    lines: int = 0


class CountingHandler(logging.StreamHandler):  # type: ignore[type-arg]  # at run time it is not generic
    """Writes at most some lines of a kind in a period, and after it one that counts the others.

    That one comes with the next line of whatever kind, at the latest when the log is closed.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._clock = clock
        self._periods: dict[Kind, _Period] = {}
        self._look_at = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging, under the handler's lock."""
        now = self._clock()
        if now >= self._look_at:
            self._look_at = now + PERIOD_S / 10
            self._tell_of(now - PERIOD_S)
        kind = record.name, record.levelno, str(record.msg)
        period = self._periods.setdefault(kind, _Period(now))
        period.lines += 1
        if period.lines <= _most(record.levelno):
            super().emit(record)

    def close(self) -> None:
        """Tell what was not told yet."""
        self._tell_of(float("inf"))
        super().close()

    def _tell_of(self, began_until: float) -> None:
        over = [(kind, period) for kind, period in self._periods.items() if period.since <= began_until]
        for kind, period in over:
            del self._periods[kind]
            name, level, said = kind
            more = period.lines - _most(level)
            if more > 0:
                message = "%d more lines like this within %.0f s: %s"
                arguments = (more, self._clock() - period.since, said)
                super().emit(logging.LogRecord(name, level, "", 0, message, arguments, None))


def _most(level: int) -> int:
    return TROUBLES if level >= logging.WARNING else NEWS

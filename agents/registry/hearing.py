"""A clock that runs only while somebody listens, by the bus's own time. Read by the health board, set by its feed.

Who is alive must not be judged by when a busy process got round to reading, nor by a wall clock that differs from the
bus's: a sign of life is as old as what the bus stored since. While the bus is away nobody grows older.
"""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

STEP_MAX_S = 3.0
"""Whoever listens hears something, or that there is nothing, each second. In a longer gap nobody could be heard."""


class HearingClock:
    """Seconds of the bus's time that were listened to so far."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._listened_s = 0.0
        self._until: datetime | None = None
        self._looked_at: float | None = None

    def __call__(self) -> float:
        """What was heard so far is older by the difference to what is heard now."""
        return self._listened_s

    def heard(self, stored_at: datetime) -> None:
        """Everything was read that the bus had stored until then."""
        if self._until is not None:
            self._listened_s += min(max(0.0, (stored_at - self._until).total_seconds()), STEP_MAX_S)
        self._until = stored_at if self._until is None else max(self._until, stored_at)
        self._looked_at = self._clock()

    def level(self) -> None:
        """Everything was read that there is."""
        looked_at, self._looked_at = self._looked_at, self._clock()
        if looked_at is None:
            return
        step_s = min(self._looked_at - looked_at, STEP_MAX_S)
        self._listened_s += step_s
        if self._until is not None:
            self._until += timedelta(seconds=step_s)

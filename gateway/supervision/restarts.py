"""What to do after a supervised process has exited. Plain decisions on frozen values; asked by the supervisor."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """``backoff_s`` doubles with each crash in the window; ``crash_limit`` crashes within ``window_s`` are a loop."""

    backoff_s: float = 0.2
    backoff_max_s: float = 15.0
    crash_limit: int = 10
    window_s: float = 120.0


@dataclass(frozen=True, slots=True)
class Restart:
    """Start it again after ``delay_s``."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It will not come up: ``crashes`` within the window."""

    crashes: int


def after_exit(policy: RestartPolicy, crashes_at_s: Sequence[float], now_s: float) -> Restart | GiveUp:
    """Decide. ``crashes_at_s`` are the moments of the exits so far, this one included, on the clock of ``now_s``."""
    recent = sum(1 for moment in crashes_at_s if now_s - moment <= policy.window_s)
    if recent >= policy.crash_limit:
        return GiveUp(recent)
    return Restart(min(policy.backoff_max_s, policy.backoff_s * 2.0 ** max(0, recent - 1)))

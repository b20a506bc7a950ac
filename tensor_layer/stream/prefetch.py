"""What to fetch before it is asked for, and whether that pays. Pure bookkeeping; `fetching` does the fetching.

Every prefetch ends as timely (it was there when asked for), late (still under way when asked for) or wasted (never
asked for). When too many are wasted, prefetching stops; it goes on learning, and starts again when its silent
forecasts come true.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Protocol

STEPS_MIN, STEPS_MAX = 2, 32
CHANCE_MIN = 0.5
JUDGED = 64
STOP_BELOW, START_ABOVE = 0.5, 0.75


class Forecaster(Protocol):
    """Learns a sequence of keys online. Bounded memory."""

    def saw(self, key: str) -> None:
        """Learn that ``key`` was used now."""
        ...

    def ahead(self, steps: int) -> list[tuple[str, float]]:
        """The likeliest next keys, nearest first, with the chance that all so far come true."""
        ...


@dataclass(slots=True)
class PrefetchCounts:
    """How every prefetch ended; ``idle_uses`` are uses while prefetching was off."""

    timely: int = 0
    late: int = 0
    wasted: int = 0
    idle_uses: int = 0


class Prefetch:
    """Decides for one sequence of uses. Not thread-safe: one event loop.

    ``waiting_max`` bounds how many prefetched things wait to be used, counting those under way.
    """

    def __init__(self, forecaster: Forecaster, waiting_max: int) -> None:
        self.counts = PrefetchCounts()
        self.on = True
        self._forecaster = forecaster
        self._waiting_max = waiting_max
        self._waiting: OrderedDict[str, bool] = OrderedDict()  # key: has it arrived?
        self._verdicts: deque[bool] = deque(maxlen=JUDGED)
        self._silent: deque[bool] = deque(maxlen=JUDGED)
        self._forecast: str | None = None
        self._steps = STEPS_MIN

    def used(self, key: str) -> None:
        """Learn a use; call before ``wanted``."""
        if self._forecast is not None:
            self._silent.append(self._forecast == key)
        arrived = self._waiting.pop(key, None)
        if arrived is not None:
            self._ended(useful=True)
            if arrived:
                self.counts.timely += 1
            else:
                self.counts.late += 1
                self._steps = min(2 * self._steps, STEPS_MAX)  # looking further ahead gives the source more time
        self._forecaster.saw(key)
        self._judge()

    def wanted(self, kept: "Kept") -> list[str]:
        """Keys to fetch now, nearest first; ``kept`` tells which are there already."""
        ahead = self._forecaster.ahead(self._steps)
        self._forecast = ahead[0][0] if ahead else None
        if not self.on:
            self.counts.idle_uses += 1
            return []
        likely = dict.fromkeys(key for key, chance in ahead if chance >= CHANCE_MIN)
        still_likely = [key for key in likely if key in self._waiting]
        for key in reversed(still_likely):  # the nearest is let go last
            self._waiting.move_to_end(key)
        missing = [key for key in likely if key not in self._waiting and not kept.holds(key)]
        return missing[: self._waiting_max - len(still_likely)]

    def started(self, key: str) -> list[str]:
        """A prefetch is under way. Gives the prefetched keys that nobody asked for and that must go now."""
        self._waiting[key] = False
        gone = []
        while len(self._waiting) > self._waiting_max:
            oldest, _ = self._waiting.popitem(last=False)
            self._wasted()
            gone.append(oldest)
        return gone

    def arrived(self, key: str) -> bool:
        """A prefetch is there; whether it is still waited for."""
        if key not in self._waiting:
            return False
        self._waiting[key] = True
        return True

    def failed(self, key: str) -> None:
        """A prefetch came to nothing."""
        if self._waiting.pop(key, None) is not None:
            self._wasted()

    def _wasted(self) -> None:
        self.counts.wasted += 1
        self._ended(useful=False)

    def _ended(self, *, useful: bool) -> None:
        self._verdicts.append(useful)

    def _judge(self) -> None:
        if self.on and len(self._verdicts) == JUDGED and sum(self._verdicts) < STOP_BELOW * JUDGED:
            self.on = False
            self._silent.clear()
        elif not self.on and len(self._silent) == JUDGED and sum(self._silent) > START_ABOVE * JUDGED:
            self.on = True
            self._verdicts.clear()


class Kept(Protocol):
    """Something that knows what it holds."""

    def holds(self, key: str) -> bool:
        """Whether ``key`` is there already."""
        ...

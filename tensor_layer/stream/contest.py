"""Two forecasters behind one port: a cheap one that always learns, and a costly one that must earn its keep.

The costly one sleeps while the cheap one is right. When it is not, the costly one trains on trial; it forecasts once it
is right more often, and when a trial ends without that it rests, each time twice as long: on sequences that nobody can
forecast its cost goes to nothing. Called by `prefetch`; built by `processor`.
"""

from collections import deque
from typing import Protocol

from tensor_layer.stream.prefetch import Forecaster

JUDGED = 128
GOOD_ENOUGH = 0.95
BETTER_BY = 0.05
PRACTISE_EVERY = 8
"""Uses between two that a costly forecaster which is right anyway learns from."""

TRIAL_USES = 4096
REST_USES = 16_384


class Costly(Forecaster, Protocol):
    """A forecaster whose learning can be left out."""

    def remember(self, key: str) -> None:
        """Note a use without learning from it."""
        ...


class Contest:
    """Implements ``prefetch.Forecaster``. Not thread-safe."""

    def __init__(self, cheap: Forecaster, costly: Costly) -> None:
        self._cheap, self._costly = cheap, costly
        self._right: tuple[deque[bool], deque[bool]] = (deque(maxlen=JUDGED), deque(maxlen=JUDGED))
        self._next: tuple[str | None, str | None] = (None, None)
        self._trial = 0
        self._rest_left, self._rest = 0, REST_USES
        self._uses = self.trained_uses = 0

    @property
    def awake(self) -> bool:
        """Whether the costly one is learning now."""
        return self._trial > 0

    @property
    def costly_leads(self) -> bool:
        """Whether the costly one makes the forecasts now."""
        cheap, costly = self._right
        return self.awake and len(costly) == JUDGED and sum(costly) > sum(cheap) + BETTER_BY * JUDGED

    def saw(self, key: str) -> None:
        """Learn that ``key`` was used now."""
        for right, forecast in zip(self._right, self._next, strict=True):
            right.append(forecast == key)
        self._cheap.saw(key)
        self._uses += 1
        sure = self.costly_leads and sum(self._right[1]) >= GOOD_ENOUGH * JUDGED
        if self.awake and (not sure or self._uses % PRACTISE_EVERY == 0):
            self._costly.saw(key)
            self.trained_uses += 1
        else:
            self._costly.remember(key)
        self._decide()
        self._next = (_nearest(self._cheap), _nearest(self._costly) if self.awake else None)

    def ahead(self, steps: int) -> list[tuple[str, float]]:
        """The forecast of whichever is right more often."""
        return (self._costly if self.costly_leads else self._cheap).ahead(steps)

    def _decide(self) -> None:
        cheap_will_do = sum(self._right[0]) >= GOOD_ENOUGH * JUDGED
        if not self.awake:
            self._rest_left -= 1
            if len(self._right[0]) == JUDGED and not cheap_will_do and self._rest_left <= 0:
                self._trial = 1
        elif self.costly_leads:
            self._trial, self._rest = 1, REST_USES
        elif cheap_will_do or self._trial >= TRIAL_USES:
            self._trial = 0
            self._rest_left, self._rest = self._rest, 2 * self._rest
        else:
            self._trial += 1


def _nearest(forecaster: Forecaster) -> str | None:
    ahead = forecaster.ahead(1)
    return ahead[0][0] if ahead else None

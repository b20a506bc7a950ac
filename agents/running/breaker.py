"""Whether an agent is worth asking just now: a circuit breaker as a pure state machine. Asked by its gate.

Closed: everybody may. After so many failures in a row: open, nobody may, for a while that doubles each time. Then
half open: one step tries, and its result decides (Nygard, Release It!, 2007).
"""

from collections.abc import Callable
from enum import StrEnum

FAILURES_TO_OPEN = 5
OPEN_S = 2.0
OPEN_LIMIT_S = 60.0
TRIAL_WAIT_S = 0.25


class CircuitState(StrEnum):
    """Where the circuit stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Permit(int):
    """Leave to ask the agent once. What it reports counts only while the circuit stands as it did when it was given."""


class CircuitBreaker:
    """One agent's circuit. Every permit must be reported once: ``succeeded``, ``failed`` or ``abandoned``."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        failures_to_open: int = FAILURES_TO_OPEN,
        open_s: float = OPEN_S,
        open_limit_s: float = OPEN_LIMIT_S,
    ) -> None:
        self._clock = clock
        self._failures_to_open = failures_to_open
        self._open_s = open_s
        self._open_limit_s = open_limit_s
        self._state = CircuitState.CLOSED
        self._era = 0
        self._failures = 0
        self._times_opened = 0
        self._closes_at = 0.0
        self._trying = False

    @property
    def state(self) -> CircuitState:
        """Where the circuit stands now; an open one becomes half open when somebody asks."""
        return self._state

    def ask(self) -> Permit | None:
        """A permit, or None when the agent is to be spared; ``retry_after_s`` then says for how long."""
        if self._state is CircuitState.OPEN and self._clock() >= self._closes_at:
            self._enter(CircuitState.HALF_OPEN)
        if self._state is CircuitState.CLOSED:
            return Permit(self._era)
        if self._state is CircuitState.OPEN or self._trying:
            return None
        self._trying = True
        return Permit(self._era)

    def retry_after_s(self) -> float:
        """How long to wait before asking again; 0 when a permit would be given."""
        if self._state is CircuitState.OPEN:
            return max(0.0, self._closes_at - self._clock())
        return TRIAL_WAIT_S if self._trying else 0.0

    def succeeded(self, permit: Permit) -> None:
        """The agent answered, whatever it said."""
        if permit != self._era:
            return
        self._failures = 0
        if self._state is CircuitState.HALF_OPEN:
            self._times_opened = 0
            self._enter(CircuitState.CLOSED)

    def failed(self, permit: Permit) -> None:
        """The agent did not answer, or not in its protocol."""
        if permit != self._era:
            return
        self._failures += 1
        if self._state is CircuitState.HALF_OPEN or self._failures >= self._failures_to_open:
            self._open()

    def abandoned(self, permit: Permit) -> None:
        """Nobody waited for the answer: it says nothing, and the trial is free for another step."""
        if permit == self._era:
            self._trying = False

    def _open(self) -> None:
        pause_s = min(self._open_limit_s, self._open_s * 2.0**self._times_opened)
        self._times_opened = min(self._times_opened + 1, 32)
        self._closes_at = self._clock() + pause_s
        self._enter(CircuitState.OPEN)

    def _enter(self, state: CircuitState) -> None:
        self._state = state
        self._era += 1
        self._failures = 0
        self._trying = False

"""What became of each agent's steps, whatever they were about: its reputation, speed and price. Called by ``policy``.

Counts fade with the agent's own later steps, so that they follow an agent that changes; and while it is passed over, so
that whoever failed long ago is as good as new and is tried again.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MEMORY_STEPS = 30.0
"""After so many later steps of the agent an outcome counts e-fold less."""
PASSED_OVER_ROUNDS, PASSED_OVER_MIN = 14, 400
"""What an agent did counts half when it was passed over for so many rounds, of as many outcomes as there are agents."""
FIRST_AGENTS = 32
_COLUMNS = 4  # successes, failures, latency in ms, cost


def half_life(agents: int) -> float:
    """Outcomes of others after which what an agent did counts half, in a fleet of so many."""
    return float(max(PASSED_OVER_MIN, PASSED_OVER_ROUNDS * agents))


class Standings:
    """Agents get numbers in the order in which they are first met. For one thread at a time."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._table = np.zeros((FIRST_AGENTS, _COLUMNS), dtype=np.float32)
        self._last = np.zeros(FIRST_AGENTS, dtype=np.int64)
        self._now = 0

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def agents(self) -> tuple[str, ...]:
        """Their ids, by number."""
        return tuple(self._numbers)

    @property
    def table(self) -> Floats:
        """(agents, 4) successes and failures, faded to its last step, the usual latency in ms and cost of a step."""
        return self._table[: len(self._numbers)]

    @property
    def kept(self) -> Floats:
        """(agents,) the share of what each did that still counts, by how long it was passed over."""
        passed = self._last[: len(self._numbers)] - self._now
        kept: Floats = np.exp2(passed / half_life(len(self._numbers))).astype(np.float32)
        return kept

    def number(self, agent_id: str) -> int | None:
        """The agent's number, None when it was never met."""
        return self._numbers.get(agent_id)

    def met(self, agent_id: str) -> int:
        """The agent's number, a new one when it was never met."""
        number = self._numbers.setdefault(agent_id, len(self._numbers))
        if number == len(self._table):
            self._table = np.vstack([self._table, np.zeros_like(self._table)])
            self._last = np.append(self._last, np.zeros_like(self._last))
        return number

    def keep(self, agents: NDArray[np.int64]) -> None:
        """Forget all but these, who are numbered anew in this order."""
        known = self.agents
        self._numbers = {known[agent]: number for number, agent in enumerate(agents.tolist())}
        room = (0, max(0, FIRST_AGENTS - len(agents)))
        self._table = np.pad(self._table[agents], (room, (0, 0)))
        self._last = np.pad(self._last[agents], room)

    def put(self, agent_id: str, row: tuple[float, float, float, float]) -> None:
        """As a snapshot says."""
        number = self.met(agent_id)  # first: it may put a larger table in the place of this one
        self._table[number] = row

    def remember(self, agents: NDArray[np.int32], passes_over: NDArray[np.bool_]) -> None:
        """When each did its last step: (steps,) their numbers, oldest first, as a snapshot's past has them."""
        moments = self._now + np.cumsum(passes_over, dtype=np.int64)
        self._last[agents] = moments
        self._now = int(moments[-1]) if len(moments) else self._now

    def add(self, number: int, outcome: float, latency_ms: float, cost: float, *, passes_over: bool = True) -> None:
        """One step that was done, ``outcome`` from 0 to 1. ``passes_over``: others might have been asked instead."""
        row = self._table[number]
        fade = np.exp(-1.0 / MEMORY_STEPS)
        row[:2] *= np.exp2((self._last[number] - self._now) / half_life(len(self._numbers)))
        self._now += passes_over
        self._last[number] = self._now
        known = row[0] + row[1]
        row[:2] *= fade
        row[0] += outcome
        row[1] += 1.0 - outcome
        share = 1.0 / (1.0 + min(known, MEMORY_STEPS))
        row[2] += share * (latency_ms - row[2])
        row[3] += share * (cost - row[3])

    def correct(self, number: int, change: float) -> None:
        """An outcome turned out to be so much better (worse: negative)."""
        row = self._table[number]
        moved = min(max(change, -float(row[0])), float(row[1]))
        row[0] += moved
        row[1] -= moved

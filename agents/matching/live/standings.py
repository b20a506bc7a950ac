"""What became of each agent's steps, whatever they were about: its reputation, speed and price. Called by ``policy``.

Counts fade with the agent's own later steps, so that they follow an agent that changes and never punish one for being
asked seldom.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

MEMORY_STEPS = 30.0
"""After so many later steps of the agent an outcome counts e-fold less."""
FIRST_AGENTS = 32
_COLUMNS = 4  # successes, failures, latency in ms, cost


class Standings:
    """Agents get numbers in the order in which they are first met. For one thread at a time."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._table = np.zeros((FIRST_AGENTS, _COLUMNS), dtype=np.float32)

    def __len__(self) -> int:
        return len(self._numbers)

    @property
    def agents(self) -> tuple[str, ...]:
        """Their ids, by number."""
        return tuple(self._numbers)

    @property
    def table(self) -> Floats:
        """(agents, 4) successes and failures, faded, and the usual latency in ms and cost of a step."""
        return self._table[: len(self._numbers)]

    def number(self, agent_id: str) -> int | None:
        """The agent's number, None when it was never met."""
        return self._numbers.get(agent_id)

    def met(self, agent_id: str) -> int:
        """The agent's number, a new one when it was never met."""
        number = self._numbers.setdefault(agent_id, len(self._numbers))
        if number == len(self._table):
            self._table = np.vstack([self._table, np.zeros_like(self._table)])
        return number

    def put(self, agent_id: str, row: tuple[float, float, float, float]) -> None:
        """As a snapshot says."""
        self._table[self.met(agent_id)] = row

    def add(self, number: int, outcome: float, latency_ms: float, cost: float) -> None:
        """One step that was done, ``outcome`` from 0 to 1."""
        row = self._table[number]
        fade = np.exp(-1.0 / MEMORY_STEPS)
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

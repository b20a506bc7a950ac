"""Past winners by kind of task: a search starts from the networks that won for tasks like this one.

Kept by whoever refines plans in the background. Not a cache of answers: what it gives are seeds, repaired and scored
anew, so agents that left the fleet or a predictor that changed its mind do no harm.
"""

from dataclasses import dataclass

import numpy as np

from schemas.network import Network
from tensor_layer.ports import Vector

CAPACITY = 512
SAME_TASK = 0.98
"""Cosine from which two tasks share one entry: the newer winner replaces the older."""
ALIKE = 0.6
"""Cosine below which a past winner is no better a seed than a random network."""


@dataclass(frozen=True, slots=True)
class Winner:
    """The best network for a task, with the task's (dimension,) unit-norm vector."""

    vector: Vector
    network: Network
    worth: float


class Archive:
    """The last ``capacity`` winners of one tenant. Not thread-safe: one refiner owns it."""

    def __init__(self, dimension: int, capacity: int = CAPACITY) -> None:
        self._vectors = np.zeros((capacity, dimension), dtype=np.float32)
        self._winners: list[Winner] = []
        self._next = 0

    def __len__(self) -> int:
        return len(self._winners)

    def keep(self, winner: Winner) -> None:
        """Remember a winner; it takes the place of the one for the same task, or else of the oldest."""
        place = self._same(winner.vector)
        if place is None:
            place = self._next
            self._next = (self._next + 1) % len(self._vectors)
        if place == len(self._winners):
            self._winners.append(winner)
        else:
            self._winners[place] = winner
        self._vectors[place] = winner.vector

    def forget(self, vector: Vector) -> None:
        """The winner for that task is remembered no more, nor is its vector."""
        place = self._same(vector)
        if place is None:
            return
        last = self._winners.pop()
        if place < len(self._winners):
            self._winners[place], self._vectors[place] = last, last.vector
        self._vectors[len(self._winners)] = 0.0
        self._next = len(self._winners)

    def alike(self, vector: Vector, limit: int = 8) -> list[Network]:
        """Networks that won for tasks like this one, most alike first."""
        cosines = self._vectors[: len(self._winners)] @ vector
        nearest = np.argsort(-cosines, kind="stable")[:limit]
        return [self._winners[place].network for place in nearest if cosines[place] >= ALIKE]

    def _same(self, vector: Vector) -> int | None:
        if not self._winners:
            return None
        cosines = self._vectors[: len(self._winners)] @ vector
        best = int(np.argmax(cosines))
        return best if cosines[best] >= SAME_TASK else None

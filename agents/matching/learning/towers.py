"""A map for all agents and a shift for each known one: what solved queries teach about meaning. Called by ``features``.

The score of an agent for a query q is ``SHARPNESS * (q M) · (card + shift) + bias``, trained as a softmax over agents.
The map M starts as the identity and is shared, so a newcomer's card profits from what others' queries taught; shifts
and biases are pulled to zero, so an agent with little evidence stays near its card. Two towers as in Yi et al. 2019,
with the encoder frozen; Adam as in Kingma and Ba 2015.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

SHARPNESS: Final = 20.0
RATE_MAP, RATE_SHIFT, RATE_BIAS = 1e-3, 3e-3, 2e-3
PULL_MAP, PULL_SHIFT, PULL_BIAS = 3e-3, 1e-2, 1e-3
KEPT_MEAN, KEPT_SQUARE, TINY = 0.9, 0.99, 1e-8
EXAMPLES_SEEN = 20_000
"""Few rows are seen many times, many rows a few times: a fit costs seconds whatever the size."""
PASSES_MIN = 6
BATCH_SMALL, BATCH_LARGE, SMALL_ROWS = 64, 256, 2_000
CHANCE_LEFT_MIN = 0.1
"""Bounds how hard one failure of an agent that seemed certain pulls."""
RIVALS_MAX = 2_000
"""So many agents without evidence take part in the softmax; of a larger catalogue a sample."""


@dataclass(frozen=True, slots=True, eq=False)
class Towers:
    """``map`` (d, d); ``places`` (agents, d) are cards with their shifts; ``bias`` (agents,). All float32."""

    map: Floats
    places: Floats
    bias: Floats

    @classmethod
    def untrained(cls, cards: Floats) -> "Towers":
        """Plain cosine: the identity, no shifts."""
        return cls(np.eye(cards.shape[1], dtype=np.float32), cards, np.zeros(len(cards), dtype=np.float32))

    def mapped(self, vectors: Floats) -> Floats:
        """Queries where the map puts them, (queries, d) unit-norm: here those that need the same agent lie closer."""
        moved: Floats = vectors @ self.map
        moved /= np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-9)
        return moved

    def logits(self, vectors: Floats) -> Floats:
        """(queries, agents) float32."""
        moved: Floats = vectors @ self.map
        logits: Floats = moved @ self.places.T
        logits *= SHARPNESS
        logits += self.bias
        return logits


def fit(cards: Floats, vectors: Floats, agents: Rows, solved: NDArray[np.bool_], seed: int = 0) -> Towers:
    """From tried queries: ``vectors`` (rows, d) unit-norm, the ``agents`` (rows,) that tried, who ``solved``."""
    if not solved.any():
        return Towers.untrained(cards)
    rng = np.random.default_rng(seed)
    rivals = _rivals(len(cards), agents, rng)
    training = _Training(cards[rivals])
    local = np.searchsorted(rivals, agents)
    batches = list(_batches(len(agents), rng))
    for number, batch in enumerate(batches):
        training.step(vectors[batch], local[batch], solved[batch], rate=1.0 - 0.9 * number / len(batches))
    return training.towers(cards, rivals, np.unique(agents))


def _rivals(agents: int, solvers: Rows, rng: np.random.Generator) -> Rows:
    known = np.unique(solvers)
    others = np.setdiff1d(np.arange(agents), known, assume_unique=True)
    if len(others) > RIVALS_MAX:
        others = rng.choice(others, RIVALS_MAX, replace=False)
    return np.sort(np.concatenate([known, others]))


def _batches(rows: int, rng: np.random.Generator) -> Iterator[Rows]:
    size = min(rows, BATCH_SMALL if rows < SMALL_ROWS else BATCH_LARGE)
    for _ in range(max(PASSES_MIN, EXAMPLES_SEEN // rows)):
        order = rng.permutation(rows)
        yield from (order[start : start + size] for start in range(0, rows - size + 1, size))


class _Training:
    """The parameters while they move. Only agents that take part in the softmax are here."""

    def __init__(self, cards: Floats) -> None:
        self._cards = cards
        self._places = cards.copy()
        width = cards.shape[1]
        self.map = _Moving(np.eye(width, dtype=np.float32), RATE_MAP, PULL_MAP)
        self.shift = _Moving(np.zeros_like(cards), RATE_SHIFT, PULL_SHIFT)
        self.bias = _Moving(np.zeros(len(cards), dtype=np.float32), RATE_BIAS, PULL_BIAS)

    def step(self, vectors: Floats, agents: Rows, solved: NDArray[np.bool_], rate: float) -> None:
        """One step of Adam down the mean of -log p where the agent solved the query, of -log(1 - p) where it failed."""
        moved = vectors @ self.map.value
        places = np.add(self._cards, self.shift.value, out=self._places)
        logits: Floats = moved @ places.T
        logits *= SHARPNESS
        excess = softmax(logits + self.bias.value)
        tried = np.arange(len(agents)), agents
        chance = excess[tried]
        excess[tried] -= 1.0
        failed = -chance / np.maximum(1.0 - chance, CHANCE_LEFT_MIN)
        excess *= np.where(solved, 1.0, failed).astype(np.float32)[:, None] / len(agents)
        np.sum(excess, axis=0, out=self.bias.gradient)
        excess *= SHARPNESS
        np.matmul(vectors.T, excess @ places, out=self.map.gradient)
        np.matmul(excess.T, moved, out=self.shift.gradient)
        for moving in (self.map, self.shift, self.bias):
            moving.move(rate)

    def towers(self, cards: Floats, rivals: Rows, known: Rows) -> Towers:
        """Shifts and biases of known agents only: those of the others were taught by nothing but others' queries."""
        places, bias = cards.copy(), np.zeros(len(cards), dtype=np.float32)
        local = np.searchsorted(rivals, known)
        places[known] += self.shift.value[local]
        bias[known] = self.bias.value[local]
        return Towers(self.map.value, places, bias)


class _Moving:
    """An array with Adam's two moments, pulled to where it began. ``gradient`` is filled in before each ``move``.

    All in place: fresh arrays of this size come from the operating system page by page, and cost five times the sums.
    """

    def __init__(self, start: Floats, rate: float, pull: float) -> None:
        self.value = start.copy()
        self.gradient = np.zeros_like(start)
        self._start, self._rate, self._pull = start, rate, pull
        self._mean, self._square, self._scratch = np.zeros_like(start), np.zeros_like(start), np.zeros_like(start)
        self._steps = 0

    def move(self, rate: float) -> None:
        gradient, scratch = self.gradient, self._scratch
        self._steps += 1
        np.subtract(self.value, self._start, out=scratch)
        scratch *= self._pull
        gradient += scratch
        self._mean *= KEPT_MEAN
        self._mean += np.multiply(gradient, 1.0 - KEPT_MEAN, out=scratch)
        self._square *= KEPT_SQUARE
        gradient *= gradient
        gradient *= 1.0 - KEPT_SQUARE
        self._square += gradient
        np.divide(self._square, 1.0 - KEPT_SQUARE**self._steps, out=scratch)
        np.sqrt(scratch, out=scratch)
        scratch += TINY
        np.divide(self._mean, scratch, out=scratch)
        scratch *= self._rate * rate / (1.0 - KEPT_MEAN**self._steps)
        self.value -= scratch


def softmax(logits: Floats) -> Floats:
    """Each row's probabilities, in place of the logits."""
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits

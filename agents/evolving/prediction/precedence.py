"""Of two agents that both take part: who stands first, and whether next to each other. Called by ``handovers``.

Ridge regression over pairs of agents in past tasks. Two pairs are alike as their tasks are, times as their agents are
(the product kernel of learning to rank, Pahikkala et al. 2010), so that a pair that was never met is told what its
likes did. Of the order, whatever is said of one direction is said against the other. Models leave out one fold each.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from agents.evolving.prediction.blocks import blocks
from agents.evolving.prediction.past import PastGraph
from agents.evolving.prediction.texts import Alike
from agents.evolving.space import Floats, Ints
from tensor_layer.ports import Vector

PAIRS_MAX = 6000
"""The work grows with the cube: of more pairs the last ones are used."""
KIN = 0.3
"""How much of being alike agents owe to what their cards mean; the rest is being the same agent."""
SHARPNESS = 6.0
"""How fast agents are less alike with the distance of their cards."""
ANY_TASK = 0.1
"""How alike tasks are that share nothing."""
THIRDS = 0.5
PENALTY = 0.3
NONE_LEFT_OUT = -1


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairs that took part in the same past task: its row, both agents, 1 or -1 for who was first, 1 for adjacent."""

    tasks: Ints
    one: Ints
    other: Ints
    first: Floats
    adjacent: Floats


class Precedence:
    """Learns at construction. ``alike`` is ``of_tasks`` of past ones, ``cards`` (agents, dimension), unit-norm."""

    def __init__(self, cards: Vector, alike: Vector, graphs: Sequence[PastGraph], folds: Ints) -> None:
        self._kin = _kinship(cards)
        self._alike, self._folds = alike, folds
        self._pairs = pairs = _taking_part(graphs)
        self._usually = float(pairs.adjacent.mean()) if len(pairs.tasks) else 0.0
        targets = (pairs.first, pairs.adjacent - self._usually)
        # One kernel after the other: of 6,000 pairs each is 144 MB.
        of_kinds = [self._learned_of(sign, target) for sign, target in zip((-1, 1), targets, strict=True)]
        self._weights = {fold: np.stack([of_kind[fold] for of_kind in of_kinds]) for fold in of_kinds[0]}
        self._weights[NONE_LEFT_OUT] = np.mean(list(self._weights.values()), axis=0)

    def of_past(self, agents: Ints) -> Floats:
        """(past tasks, k, k, 2) of each past task's ``agents`` (past tasks, k), told without the task's fold."""
        return self._told(self._alike, agents, self._folds)

    def of(self, alike: Alike, agents: Ints) -> Floats:
        """(tasks, k, k, 2) of new tasks: -1 (the column's agent is first) to 1, and the chance to be adjacent."""
        return self._told(of_tasks(alike), agents, np.full(len(agents), NONE_LEFT_OUT))

    def _learned_of(self, sign: int, target: Floats) -> dict[int, Floats]:
        """By fold left out the dual weights (pairs,), 0 for pairs of the fold. -1 is the sign of order, 1 of adjacency:
        how the opposite way round counts."""
        pairs = self._pairs
        kernel: Vector = np.empty((len(pairs.tasks),) * 2, dtype=np.float32)
        for rows in blocks(len(kernel), len(kernel)):
            straight, crossed = self._matched(pairs.one[rows], pairs.other[rows])
            kernel[rows] = (straight + sign * crossed) * self._alike[np.ix_(pairs.tasks[rows], pairs.tasks)]
        return {int(fold): self._learned(kernel, target, int(fold)) for fold in np.unique(self._folds)}

    def _learned(self, kernel: Vector, target: Floats, fold: int) -> Floats:
        rows = np.flatnonzero(self._folds[self._pairs.tasks] != fold)
        weights = np.zeros(len(self._pairs.tasks))
        if len(rows):
            held = kernel[np.ix_(rows, rows)]
            held[np.diag_indices(len(rows))] += PENALTY
            # The kernel is symmetric: its transpose is itself in the order that LAPACK works on in place.
            factor = linalg.cho_factor(held.T, overwrite_a=True, check_finite=False)
            weights[rows] = linalg.cho_solve(factor, target[rows].astype(np.float32), check_finite=False)
        return weights

    def _told(self, alike: Vector, agents: Ints, folds: Ints) -> Floats:
        size = agents.shape[1]
        told = np.zeros((len(agents), size, size, 2))
        one, other = np.triu_indices(size, 1)
        for row, (fold, own) in enumerate(zip(folds, agents, strict=True)):
            straight, crossed = self._matched(own[one], own[other])
            order, adjacent = self._weights[int(fold)] * alike[row, self._pairs.tasks]
            first, beside = (straight - crossed) @ order, (straight + crossed) @ adjacent + self._usually
            told[row, one, other], told[row, other, one] = np.stack([first, beside], 1), np.stack([-first, beside], 1)
        return told

    def _matched(self, one: Ints, other: Ints) -> tuple[Vector, Vector]:
        """(these pairs, past pairs) each: how alike the agents are, this way round and the other."""
        past = self._pairs
        straight: Vector = self._kin[np.ix_(one, past.one)]
        straight *= self._kin[np.ix_(other, past.other)]
        crossed: Vector = self._kin[np.ix_(one, past.other)]
        crossed *= self._kin[np.ix_(other, past.one)]
        return straight, crossed


def _kinship(cards: Vector) -> Vector:
    """(agents, agents) float32: 1 for the same agent."""
    kin: Vector = cards @ cards.T
    kin -= 1.0
    kin *= SHARPNESS
    np.exp(kin, out=kin)
    kin *= KIN
    kin[np.diag_indices(len(kin))] += 1.0 - KIN
    return kin


def of_tasks(alike: Alike) -> Vector:
    """(tasks, past tasks) float32: most by which word stands before which."""
    tasks: Vector = np.zeros_like(alike.sequence, dtype=np.float32)
    for rows in blocks(len(tasks), alike.sequence.shape[1]):
        tasks[rows] = ANY_TASK + alike.sequence[rows] + THIRDS * alike.thirds[rows]
    return tasks


def _taking_part(graphs: Sequence[PastGraph]) -> _Pairs:
    pairs = [
        (task, min(pair), max(pair), 1.0 if pair[0] < pair[1] else -1.0, float(linked))
        for task, graph in enumerate(graphs)
        for pair, linked in _ordered(graph)
    ][-PAIRS_MAX:]
    table = np.array(pairs, dtype=np.float64).reshape(-1, 5)
    tasks, one, other = table[:, :3].astype(np.intp).T
    return _Pairs(tasks, one, other, table[:, 3], table[:, 4])


def _ordered(graph: PastGraph) -> list[tuple[tuple[int, int], bool]]:
    """Each pair as it stands, and whether one hands over to the other."""
    linked = set(graph.edges)
    return [(pair, pair in linked or pair[::-1] in linked) for pair in graph.orders()]

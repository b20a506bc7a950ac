"""Kernel ridge regression from a task to its agents, links and orders at once. Called by ``graphs``.

One inverse a kernel serves all targets. For past tasks the answers are those of a model that had not seen them
(leave-one-out in closed form), so that the second stages learn from honest answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, sparse

from agents.evolving.prediction.past import Pair, PastGraph
from agents.evolving.prediction.texts import Alike
from agents.evolving.space import Floats, Ints
from tensor_layer.ports import Vector

PENALTIES = {
    "radial": 0.1,
    "words": 0.3,
    "meaning": 0.2,
    "sequence": 0.2,
    "thirds": 0.3,
    "letters": 0.3,
    "all": 0.2,
}
"""The kernels of ``Alike.kernels`` and how strongly each regression is held back."""


class Regression:
    """Kernel ridge regression on past tasks (Saunders et al. 1998). ``targets`` is (past tasks, targets).

    What is kept is the inverse of the kernel, float32: weights of all targets would be ten times as much.
    """

    def __init__(self, kernel: Vector, targets: sparse.csr_matrix, penalty: float) -> None:
        self._targets = targets
        self._inverse = _inverse(kernel, penalty).astype(np.float32)
        # As rounded as the rest: who was in no other task would else be told by a billionth that it was in this one.
        self._diagonal = np.diag(self._inverse).astype(np.float64)[:, None]

    def left_out(self, rows: slice) -> Floats:
        """(rows, targets): what these past tasks would be told, had each not been among them."""
        weights = self._inverse[rows].astype(np.float64) @ self._targets
        left_out: Floats = self._targets[rows].toarray() - weights / self._diagonal[rows]
        return left_out

    def told(self, kernel: Vector) -> Floats:
        """(tasks, targets), about 0 to 1."""
        told: Floats = (kernel.astype(np.float64) @ self._inverse) @ self._targets
        return told


def _inverse(kernel: Vector, penalty: float) -> Floats:
    """Of the kernel, which is symmetric and has no negative eigenvalue, with the penalty on its diagonal."""
    held = np.array(kernel, dtype=np.float64, order="F")
    held[np.diag_indices(len(held))] += penalty
    factor, lower = linalg.cho_factor(held, lower=True, overwrite_a=True)
    inverse, _ = linalg.lapack.dpotri(factor, lower=lower, overwrite_c=True)
    for row in range(len(inverse)):  # only one half was worked out
        inverse[row, row + 1 :] = inverse[row + 1 :, row]
    whole: Floats = inverse
    return whole


class PairIndex:
    """Finds the column of an ordered pair of agents among those that were ever met."""

    def __init__(self, pairs: Sequence[Pair], agents: int) -> None:
        self.pairs = np.array(sorted(set(pairs)), dtype=np.intp).reshape(-1, 2)
        self._agents = agents
        self._codes = self.pairs[:, 0] * agents + self.pairs[:, 1]

    def __len__(self) -> int:
        return len(self.pairs)

    def places(self, pairs: Sequence[Pair]) -> Ints:
        """Columns of pairs that were met."""
        wanted = np.array(pairs, dtype=np.intp).reshape(-1, 2)
        return np.searchsorted(self._codes, wanted[:, 0] * self._agents + wanted[:, 1])

    def among(self, said: Floats, agents: Ints) -> Floats:
        """(tasks, k, k) of what is said of each pair of each task's ``agents`` (tasks, k); 0 for pairs never met."""
        wanted = agents[:, :, None] * self._agents + agents[:, None, :]
        if not len(self):
            return np.zeros(wanted.shape)
        places = np.minimum(np.searchsorted(self._codes, wanted), len(self) - 1)
        found = said[np.arange(len(agents))[:, None, None], places]
        return np.where(self._codes[places] == wanted, found, 0.0)


@dataclass(frozen=True, slots=True)
class Said:
    """What one regression says of tasks: (tasks, agents), (tasks, links), (tasks, orders)."""

    agents: Floats
    links: Floats
    orders: Floats


class Regressions:
    """One regression a kernel. ``members`` is (past tasks, agents) of 0 and 1."""

    def __init__(self, past: Alike, graphs: Sequence[PastGraph], members: sparse.csr_matrix) -> None:
        count = members.shape[1]
        self.links = PairIndex([edge for graph in graphs for edge in graph.edges], count)
        self.orders = PairIndex([pair for graph in graphs for pair in graph.orders()], count)
        self._agents = count
        links = marked([self.links.places(graph.edges) for graph in graphs], len(self.links))
        orders = marked([self.orders.places(graph.orders()) for graph in graphs], len(self.orders))
        targets = sparse.hstack([members, links, orders], format="csr")
        self.columns: int = targets.shape[1]
        self._models = {name: Regression(past.kernel(name), targets, penalty) for name, penalty in PENALTIES.items()}

    def left_out(self, rows: slice) -> Mapping[str, Said]:
        """Those past tasks, by kernel: what they would be told, had each not been among them."""
        return {name: self._parts(model.left_out(rows)) for name, model in self._models.items()}

    def told(self, alike: Alike) -> Mapping[str, Said]:
        """New tasks, by kernel."""
        return {name: self._parts(model.told(alike.kernel(name))) for name, model in self._models.items()}

    def _parts(self, told: Floats) -> Said:
        first, second = self._agents, self._agents + len(self.links)
        return Said(told[:, :first], told[:, first:second], told[:, second:])


def marked(places: Sequence[Ints], columns: int) -> sparse.csr_matrix:
    """(rows, columns) float64: 1 at each row's places, which are named once each."""
    ends = np.cumsum([0, *map(len, places)])
    inside = np.concatenate([*places, np.zeros(0, dtype=np.intp)])
    return sparse.csr_matrix((np.ones(len(inside)), inside, ends), shape=(len(places), columns))

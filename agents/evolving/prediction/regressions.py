"""Kernel ridge regression from a task to its agents, links and orders at once. Called by ``members`` and ``handovers``.

One inverse a kernel serves all targets. For past tasks the answers are those of a model that had not seen them
(leave-one-out in closed form), so that the second stages learn from honest answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from agents.evolving.prediction.past import Pair, PastGraph
from agents.evolving.prediction.texts import Alike
from agents.evolving.space import Floats, Ints

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
    """Kernel ridge regression on past tasks (Saunders et al. 1998)."""

    def __init__(self, kernel: Floats, targets: Floats, penalty: float) -> None:
        inverse = np.linalg.inv(kernel + penalty * np.eye(len(kernel)))
        self._weights = inverse @ targets
        self.left_out: Floats = targets - self._weights / np.diag(inverse)[:, None]
        """(past tasks, targets): what each past task would be told, had it not been among them."""

    def told(self, kernel: Floats) -> Floats:
        """(tasks, targets), about 0 to 1."""
        told: Floats = kernel @ self._weights
        return told


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

    def __init__(self, past: Alike, graphs: Sequence[PastGraph], members: Floats) -> None:
        count = members.shape[1]
        self.links = PairIndex([edge for graph in graphs for edge in graph.edges], count)
        self.orders = PairIndex([pair for graph in graphs for pair in graph.orders()], count)
        self._agents = count
        links, orders = np.zeros((len(graphs), len(self.links))), np.zeros((len(graphs), len(self.orders)))
        for row, graph in enumerate(graphs):
            links[row, self.links.places(graph.edges)] = 1.0
            orders[row, self.orders.places(graph.orders())] = 1.0
        targets = np.hstack([members, links, orders])
        kernels = past.kernels()
        self._models = {name: Regression(kernels[name], targets, penalty) for name, penalty in PENALTIES.items()}
        self.left_out = {name: self._parts(model.left_out) for name, model in self._models.items()}

    def told(self, alike: Alike) -> Mapping[str, Said]:
        """New tasks, by kernel."""
        kernels = alike.kernels()
        return {name: self._parts(model.told(kernels[name])) for name, model in self._models.items()}

    def _parts(self, told: Floats) -> Said:
        first, second = self._agents, self._agents + len(self.links)
        return Said(told[:, :first], told[:, first:second], told[:, second:])

"""How likely one agent hands over to another in a task's network. Called by ``graphs`` once the members are ranked.

For each ordered pair of a task's likely agents: how often the pair was linked and ordered before, in all and in the
nearest past tasks, where in the task's words each is spoken of, and who else may stand between. Gradient boosting makes
one chance of it. Counts leave out the fold of the task that is asked about.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from agents.evolving.prediction.members import Ranked
from agents.evolving.prediction.texts import neighbours
from agents.evolving.space import Bools, Floats, Ints

PAIRED = 6
"""Of a task's agents so many, the likeliest, are paired."""
NEIGHBOURS = 40
BOOSTING = {"max_iter": 200, "learning_rate": 0.05, "max_leaf_nodes": 15, "l2_regularization": 5.0, "random_state": 0}

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PastGraph:
    """One task's network by rows of the catalogue: agents in order of work, and who hands over to whom."""

    agents: tuple[int, ...]
    edges: tuple[Pair, ...]

    def orders(self) -> list[Pair]:
        """Every pair that stands in this order."""
        return [(one, other) for place, one in enumerate(self.agents) for other in self.agents[place + 1 :]]


class _Counts:
    """How often pairs were linked, and stood in this order, in all graphs and in those of each fold."""

    def __init__(self, graphs: Sequence[PastGraph], folds: Ints) -> None:
        self.linked, self.ordered = Counter[Pair](), Counter[Pair]()
        self._linked_in = {int(fold): Counter[Pair]() for fold in np.unique(folds)}
        self._ordered_in = {int(fold): Counter[Pair]() for fold in np.unique(folds)}
        for graph, fold in zip(graphs, folds, strict=True):
            for counter in (self.linked, self._linked_in[int(fold)]):
                counter.update(graph.edges)
            for counter in (self.ordered, self._ordered_in[int(fold)]):
                counter.update(graph.orders())

    def tables(self, agents: Sequence[int], fold: int | None) -> tuple[Floats, Floats]:
        """(agents, agents) each: links and orders among them, the fold left out."""
        linked, ordered = (_table(counter, agents) for counter in (self.linked, self.ordered))
        if fold is not None:
            linked -= _table(self._linked_in[fold], agents)
            ordered -= _table(self._ordered_in[fold], agents)
        return linked, ordered


class Handovers:
    """The chance of each ordered pair to be an edge. Pairs come as (tasks, PAIRED, PAIRED), rows feeding columns."""

    def __init__(
        self, graphs: Sequence[PastGraph], similarity: Floats, mentions: Floats, ranked: Ranked, folds: Ints
    ) -> None:
        self._graphs = graphs
        self._counts = _Counts(graphs, folds)
        self._features = self._laid_out(similarity, mentions, ranked, folds)
        self._right = _edges_among(graphs, ranked)
        self._model = _boosted(self._features, self._right)

    def held_out(self, folds: Ints) -> Floats:
        """The past tasks, each answered by a model that was trained without its fold."""
        chance = np.zeros(self._right.shape)
        for fold in np.unique(folds):
            inside = folds == fold
            chance[inside] = _chance(_boosted(self._features[~inside], self._right[~inside]), self._features[inside])
        return chance

    def chances(self, similarity: Floats, mentions: Floats, ranked: Ranked) -> Floats:
        """New tasks."""
        return _chance(self._model, self._laid_out(similarity, mentions, ranked, None))

    def _laid_out(self, similarity: Floats, mentions: Floats, ranked: Ranked, folds: Ints | None) -> Floats:
        nearest, weights = neighbours(similarity, NEIGHBOURS)
        return np.stack(
            [
                self._of_task(
                    ranked.agents[row],
                    ranked.chance[row],
                    mentions[row],
                    dict(zip(nearest[row].tolist(), weights[row].tolist(), strict=True)),
                    None if folds is None else int(folds[row]),
                )
                for row in range(len(similarity))
            ]
        )

    def _of_task(
        self, agents: Ints, chance: Floats, mentions: Floats, near: dict[int, float], fold: int | None
    ) -> Floats:
        """(PAIRED, PAIRED, features) of one task."""
        linked, ordered = self._counts.tables(agents.tolist(), fold)
        met = ordered + ordered.T
        share = (linked + 0.1) / (met + 1.0)
        between = (chance * share[:, None, :] * share.T[None, :, :]).max(axis=2)
        paired = slice(min(PAIRED, len(agents)))
        near_linked, near_ordered = self._nearby(agents[paired].tolist(), near)
        pairs = [chance_of[paired, paired] for chance_of in (ordered, ordered.T, linked, linked.T, between)]
        pairs += [share[paired, paired], ((ordered + 0.5) / (met + 1.0))[paired, paired]]
        pairs += [near_linked, near_linked.T, near_ordered, near_ordered.T]
        return np.stack([*pairs, *_of_ends(chance, mentions[agents], len(near_linked))], axis=-1)

    def _nearby(self, agents: Sequence[int], near: dict[int, float]) -> tuple[Floats, Floats]:
        """Links and orders among the agents in the nearest past tasks, by weight."""
        place = {agent: row for row, agent in enumerate(agents)}
        linked, ordered = np.zeros((2, len(agents), len(agents)))
        for task, weight in near.items():
            graph = self._graphs[task]
            for table, pairs in ((linked, graph.edges), (ordered, graph.orders())):
                for one, other in pairs:
                    if one in place and other in place:
                        table[place[one], place[other]] += weight
        return linked, ordered


def _of_ends(chance: Floats, mentions: Floats, size: int) -> list[Floats]:
    """What the two ends, and the rest of the task's agents, say by themselves."""
    p, at = chance[:size], mentions[:size]
    shape = (size, size)
    source, target = np.broadcast_to(p[:, None], shape), np.broadcast_to(p[None, :], shape)
    others = -np.sort(-p)
    third = others[2] if len(others) > 2 else 0.0
    return [
        source,
        target,
        source * target,
        np.broadcast_to(at[:, None], shape),
        np.broadcast_to(at[None, :], shape),
        at[None, :] - at[:, None],
        np.full(shape, chance.sum()),
        np.full(shape, third),
        np.broadcast_to(np.arange(size)[:, None], shape).astype(np.float64),
        np.broadcast_to(np.arange(size)[None, :], shape).astype(np.float64),
    ]


def _table(counter: Counter[Pair], agents: Sequence[int]) -> Floats:
    return np.array([[counter[one, other] for other in agents] for one in agents], dtype=np.float64)


def _edges_among(graphs: Sequence[PastGraph], ranked: Ranked) -> Bools:
    """(tasks, PAIRED, PAIRED): which pairs are edges of the task's own graph."""
    paired = ranked.agents[:, :PAIRED]
    right = np.zeros((*paired.shape, paired.shape[1]), dtype=np.bool_)
    for row, graph in enumerate(graphs):
        place = {int(agent): column for column, agent in enumerate(paired[row])}
        for one, other in graph.edges:
            if one in place and other in place:
                right[row, place[one], place[other]] = True
    return right


def _boosted(features: Floats, right: Bools) -> HistGradientBoostingClassifier | float:
    if right.all() or not right.any():
        return float(right.any())
    pairs = _off_diagonal(right.shape[1])
    return HistGradientBoostingClassifier(**BOOSTING).fit(
        features[:, pairs].reshape(-1, features.shape[-1]), right[:, pairs].ravel()
    )


def _chance(model: HistGradientBoostingClassifier | float, features: Floats) -> Floats:
    pairs = _off_diagonal(features.shape[1])
    chance = np.zeros(features.shape[:3])
    if isinstance(model, float):
        chance[:, pairs] = model
    elif pairs.any():
        told = model.predict_proba(features[:, pairs].reshape(-1, features.shape[-1]))[:, 1]
        chance[:, pairs] = told.reshape(len(features), -1)
    return chance


def _off_diagonal(size: int) -> Bools:
    return ~np.eye(size, dtype=np.bool_)

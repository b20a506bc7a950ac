"""How likely one agent hands over to another in a task's network. Called by ``graphs`` once the members are ranked.

For each ordered pair of a task's likely agents: how often the pair was linked and ordered before, in all and in the
nearest past tasks, what the regressions say of link and order, who precedes whom where both take part, where in the
words and how clearly each is spoken of, and who else may stand between. Gradient boosting makes one chance of it, and
``reconsidered`` looks again. Counts leave out the fold of the task that is asked about.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agents.evolving.prediction.boosting import Boosted, held_out
from agents.evolving.prediction.candidates import Opinions
from agents.evolving.prediction.members import Ranked
from agents.evolving.prediction.passages import of_pairs
from agents.evolving.prediction.past import Pair, PastGraph
from agents.evolving.prediction.precedence import Precedence
from agents.evolving.prediction.reconsidered import Reconsidered, best_other
from agents.evolving.prediction.texts import Alike, neighbours
from agents.evolving.space import Bools, Floats, Ints
from tensor_layer.ports import Vector

PAIRED = 6
"""Of a task's agents so many, the likeliest, are paired."""
NEIGHBOURS = 40

CLOSEST = 15
"""Of the tasks that are also nearest in the sequence of their words so many are asked."""
SAYING = ("radial", "sequence", "thirds", "all", "words")
"""The regressions that are asked about pairs."""
DIRECTED = ("sequence", "all")
"""Those whose answer for the opposite direction is looked at too."""


class _Counts:
    """How often pairs were linked, and stood in this order, in all graphs and in those of each fold."""

    def __init__(self, graphs: Sequence[PastGraph], folds: Ints, agents: int) -> None:
        self.linked, self.ordered = Counter[Pair](), Counter[Pair]()
        self._linked_in = {int(fold): Counter[Pair]() for fold in np.unique(folds)}
        self._ordered_in = {int(fold): Counter[Pair]() for fold in np.unique(folds)}
        for graph, fold in zip(graphs, folds, strict=True):
            for counter in (self.linked, self._linked_in[int(fold)]):
                counter.update(graph.edges)
            for counter in (self.ordered, self._ordered_in[int(fold)]):
                counter.update(graph.orders())
        self._ends = self._leaving(agents)

    def tables(self, agents: Sequence[int], fold: int | None) -> tuple[Floats, Floats]:
        """(agents, agents) each: links and orders among them, the fold left out."""
        linked, ordered = (_table(counter, agents) for counter in (self.linked, self.ordered))
        if fold is not None:
            linked -= _table(self._linked_in[fold], agents)
            ordered -= _table(self._ordered_in[fold], agents)
        return linked, ordered

    def leads(self, agents: Ints, fold: int | None) -> Floats:
        """(agents): of the links of each agent the share that leave it, the fold left out."""
        sources, targets = self._ends[-1 if fold is None else fold]
        share: Floats = sources[agents] / (sources[agents] + targets[agents] + 1.0)
        return share

    def _leaving(self, agents: int) -> dict[int, tuple[Floats, Floats]]:
        """By fold left out, -1 for none: how many links leave, and how many reach, each agent."""
        ends = dict[int, tuple[Floats, Floats]]()
        for fold in (-1, *self._linked_in):
            counter = self.linked if fold < 0 else self.linked - self._linked_in[fold]
            sources, targets = np.zeros((2, agents))
            for (source, target), count in counter.items():
                sources[source] += count
                targets[target] += count
            ends[fold] = sources, targets
        return ends


Near = tuple[dict[int, float], dict[int, float]]
"""The past tasks nearest to a task, with their weights: by meaning and words, and by the sequence of words too."""


def nearest(alike: Alike) -> list[Near]:
    """Of each task."""
    near, closest = (_weighted(alike.blend(sequence), count) for sequence, count in ((0.0, NEIGHBOURS), (2.0, CLOSEST)))
    return list(zip(near, closest, strict=True))


def _weighted(similarity: Vector, count: int) -> list[dict[int, float]]:
    """For each task its nearest past tasks with their weights."""
    nearest, weights = neighbours(similarity, count)
    return [dict(zip(*row, strict=True)) for row in zip(nearest.tolist(), weights.tolist(), strict=True)]


@dataclass(frozen=True, slots=True)
class Judged:
    """What is known of tasks once their members are ranked. ``passages`` is (tasks, candidates, readers, READ)."""

    opinions: Opinions
    passages: Floats
    ranked: Ranked

    @property
    def paired(self) -> Ints:
        """(tasks, PAIRED): the agents that are paired."""
        return self.ranked.agents[:, :PAIRED]

    def among(self, said: Floats) -> Floats:
        """(tasks, PAIRED, PAIRED) of what is said of pairs of candidates."""
        places = self.ranked.places[:, :PAIRED]
        return said[np.arange(len(said))[:, None, None], places[:, :, None], places[:, None, :]]


def _regressed(judged: Judged) -> Floats:
    """(tasks, PAIRED, PAIRED, features): what the regressions say of links and orders, and of the opposite."""
    columns = list[Floats]()
    for name in SAYING:
        link, order = judged.among(judged.opinions.links[name]), judged.among(judged.opinions.orders[name])
        columns += [link, order]
        if name in DIRECTED:
            back, later = link.swapaxes(1, 2), order.swapaxes(1, 2)
            columns += [back, later, link / (np.abs(link) + np.abs(back) + 0.05), order - later]
    broadest = judged.among(judged.opinions.links["all"])
    columns += [broadest - best_other(broadest, axis) for axis in (1, 2)]
    return np.stack(columns, axis=-1)


class Handovers:
    """The chance of each ordered pair to be an edge. Pairs come as (tasks, PAIRED, PAIRED), rows feeding columns."""

    def __init__(
        self,
        graphs: Sequence[PastGraph],
        precedence: Precedence,
        past: Judged,
        near: Sequence[Near],
        folds: Ints,
        agents: int,
    ) -> None:
        self._graphs, self._precedence = graphs, precedence
        self._counts = _Counts(graphs, folds, agents)
        features = self._laid_out(past, near, precedence.of_past(past.paired), folds)
        self._right = _edges_among(graphs, past.paired)
        self._pairs = _off_diagonal(self._right.shape[1])
        looked = features[:, self._pairs], self._right[:, self._pairs]
        self._model = Boosted(*looked)
        first = self._placed(held_out(*looked, folds))
        self._reconsidered = Reconsidered(first, past.ranked.chance[:, :PAIRED], self._right, self._pairs)

    def held_out(self, folds: Ints) -> Floats:
        """The past tasks, each answered by models that were trained without its fold."""
        return self._reconsidered.held_out(folds)

    def chances(self, new: Judged, alike: Alike) -> Floats:
        """New tasks."""
        features = self._laid_out(new, nearest(alike), self._precedence.of(alike, new.paired), None)
        first = self._placed(self._model.chance(features[:, self._pairs]))
        return self._reconsidered.chances(first, new.ranked.chance[:, :PAIRED])

    def _placed(self, chance: Floats) -> Floats:
        """(tasks, PAIRED, PAIRED) of (tasks, pairs): nobody hands over to itself."""
        placed = np.zeros((len(chance), *self._pairs.shape))
        placed[:, self._pairs] = chance
        return placed

    def _laid_out(self, judged: Judged, near: Sequence[Near], precedence: Floats, folds: Ints | None) -> Floats:
        """(tasks, PAIRED, PAIRED, features)."""
        ranked = judged.ranked
        of_tasks = [
            self._of_task(ranked.agents[row], ranked.chance[row], near[row], None if folds is None else int(folds[row]))
            for row in range(len(near))
        ]
        spoken_of = of_pairs(judged.passages[np.arange(len(near))[:, None], ranked.places[:, :PAIRED]])
        return np.concatenate([np.stack(of_tasks), _regressed(judged), spoken_of, precedence], axis=-1)

    def _of_task(
        self,
        agents: Ints,
        chance: Floats,
        near: Near,
        fold: int | None,
    ) -> Floats:
        """(PAIRED, PAIRED, features) of one task."""
        linked, ordered = self._counts.tables(agents.tolist(), fold)
        met = ordered + ordered.T
        share = (linked + 0.1) / (met + 1.0)
        between = (chance * share[:, None, :] * share.T[None, :, :]).max(axis=2)
        paired = slice(min(PAIRED, len(agents)))
        leads = self._counts.leads(agents[paired], fold)
        pairs = [chance_of[paired, paired] for chance_of in (ordered, ordered.T, linked, linked.T, between)]
        pairs += [share[paired, paired], ((ordered + 0.5) / (met + 1.0))[paired, paired]]
        pairs.append(leads[:, None] - leads[None, :])
        for tasks in near:
            near_linked, near_ordered = self._nearby(agents[paired].tolist(), tasks)
            pairs += [near_linked, near_linked.T, near_ordered, near_ordered.T]
        return np.stack([*pairs, *_of_ends(chance, len(leads))], axis=-1)

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


def _of_ends(chance: Floats, size: int) -> list[Floats]:
    """What the two ends, and the rest of the task's agents, say by themselves."""
    p = chance[:size]
    shape = (size, size)
    source, target = np.broadcast_to(p[:, None], shape), np.broadcast_to(p[None, :], shape)
    others = -np.sort(-p)
    third, fourth = (float(others[place]) if len(others) > place else 0.0 for place in (2, 3))
    return [
        source,
        target,
        source * target,
        np.full(shape, chance.sum()),
        np.full(shape, third),
        np.full(shape, fourth),
        np.broadcast_to(np.arange(size)[:, None], shape).astype(np.float64),
        np.broadcast_to(np.arange(size)[None, :], shape).astype(np.float64),
    ]


def _table(counter: Counter[Pair], agents: Sequence[int]) -> Floats:
    return np.array([[counter[one, other] for other in agents] for one in agents], dtype=np.float64)


def _edges_among(graphs: Sequence[PastGraph], paired: Ints) -> Bools:
    """(tasks, PAIRED, PAIRED): which pairs are edges of the task's own graph."""
    right = np.zeros((*paired.shape, paired.shape[1]), dtype=np.bool_)
    for row, graph in enumerate(graphs):
        place = {int(agent): column for column, agent in enumerate(paired[row])}
        for one, other in graph.edges:
            if one in place and other in place:
                right[row, place[one], place[other]] = True
    return right


def _off_diagonal(size: int) -> Bools:
    return ~np.eye(size, dtype=np.bool_)

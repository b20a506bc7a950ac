"""Graphs where past tasks are too few to learn from: agents by their cards and the nearest past tasks, in a row.

Called by ``evaluation.graph_bench``. Cards alone serve where there is no past task at all.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from agents.evolving.prediction.blocks import blocks
from agents.evolving.prediction.cards import Cards
from agents.evolving.prediction.past import PastGraph
from agents.evolving.prediction.regressions import marked
from agents.evolving.prediction.texts import Likeness, Tasks, voted
from agents.evolving.space import Floats

NEIGHBOURS = 5
VOTES = 10.0
"""What the whole vote of like past tasks counts, in deviations of nearness to cards: 5 to 10 are equally good."""
AGENTS_USUAL = 2
"""In a graph, where no past task says how many."""
LINKED = 0.5
"""Of the links that rows of agents would have, past graphs have so many: then new ones are rows, else without links."""


class Sketcher:
    """``cards`` are the agents' names and descriptions, ``graphs`` those of the ``past`` tasks. Deterministic."""

    def __init__(self, cards: Tasks, past: Tasks, graphs: Sequence[PastGraph]) -> None:
        self._likeness = Likeness(past) if len(past) else None
        self._cards = Cards(cards, past)
        self._count = len(cards)
        self._members = marked([np.array(graph.agents, dtype=np.intp) for graph in graphs], len(cards))
        self._places = _places(graphs, len(cards))
        sizes = [len(graph.agents) for graph in graphs]
        self._size = round(float(np.mean(sizes))) if sizes else AGENTS_USUAL
        links = sum(len(graph.edges) for graph in graphs)
        self._links = links >= LINKED * sum(size - 1 for size in sizes)

    def predict(self, tasks: Tasks) -> list[PastGraph]:
        """One graph for each task, of as many agents as is usual."""
        every, each = blocks(len(tasks), self._count), range(len(tasks))
        return [self._row_of(row) for rows in every for row in self._best(tasks.only(each[rows]))]

    def _best(self, tasks: Tasks) -> list[list[int]]:
        """The agents of each task, those for whom most speaks first."""
        meaning, words = self._cards.of(tasks)
        best = np.argsort(-(_scaled(meaning) + _scaled(words) + VOTES * self._voted(tasks)), axis=1, kind="stable")
        return [row.tolist() for row in best[:, : self._size]]

    def _voted(self, tasks: Tasks) -> Floats | float:
        """(tasks, agents): the share of like past tasks that had the agent, less the less alike they are."""
        if self._likeness is None:
            return 0.0
        alike = self._likeness.of(tasks)
        nearest = np.maximum(alike.meaning.max(axis=1, keepdims=True), 0.0)
        votes: Floats = voted(alike.blend(), NEIGHBOURS, self._members) * nearest
        return votes

    def _row_of(self, agents: list[int]) -> PastGraph:
        ordered = tuple(sorted(agents, key=lambda agent: self._places[agent]))
        return PastGraph(ordered, tuple(pairwise(ordered)) if self._links else ())


def _places(graphs: Sequence[PastGraph], agents: int) -> Floats:
    """(agents,): where in the work each usually stood, 0 first and 1 last; the middle for those never seen."""
    total, count = np.full(agents, 0.5), np.ones(agents)
    for graph in graphs:
        for place, agent in enumerate(graph.agents):
            total[agent] += place / max(1, len(graph.agents) - 1)
            count[agent] += 1.0
    places: Floats = total / count
    return places


def _scaled(likeness: Floats) -> Floats:
    """In deviations from what is usual for the task."""
    apart = likeness - likeness.mean(axis=1, keepdims=True)
    scaled: Floats = apart / (likeness.std(axis=1, keepdims=True) + 1e-9)
    return scaled

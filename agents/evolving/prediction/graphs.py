"""Predicts whole graphs: members, then handovers among them, cut at the thresholds that served past tasks best.

Called by ``evaluation.graph_bench``. Thresholds are those of best micro F1 on folds held out of the second stages.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from agents.evolving.prediction.blocks import blocks
from agents.evolving.prediction.candidates import Candidates, Opinions, joined
from agents.evolving.prediction.cards import Cards
from agents.evolving.prediction.handovers import Handovers, Judged, Near, nearest
from agents.evolving.prediction.members import FOLDS, Members, Ranked
from agents.evolving.prediction.memory import give_back
from agents.evolving.prediction.passages import Passages
from agents.evolving.prediction.past import Pair, PastGraph
from agents.evolving.prediction.precedence import Precedence, of_tasks
from agents.evolving.prediction.regressions import Regressions, marked
from agents.evolving.prediction.texts import Alike, Likeness, Tasks
from agents.evolving.space import Floats, Ints

PAST_MAX = 4000
"""Kernel matrices grow with the square: of more past tasks the last ones are used."""
LEARNABLE = 10
"""With fewer past tasks than this nothing can be held out, and learning is refused."""
THRESHOLDS = np.linspace(0.15, 0.7, 56)


class TooLittleExperience(ValueError):
    """There are too few past tasks with graphs to learn from."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What the folds held out of the second stages say: thresholds, and the F1 they reach there."""

    node_threshold: float
    edge_threshold: float
    node_f1: float
    edge_f1: float


class GraphPredictor:
    """Learns at construction; ``predict`` may then be called from any thread. Deterministic.

    ``cards`` are the agents' names and descriptions, in the catalogue's order. Raises TooLittleExperience.
    """

    def __init__(self, cards: Tasks, past: Tasks, graphs: Sequence[PastGraph]) -> None:
        if len(graphs) < LEARNABLE:
            raise TooLittleExperience(
                f"{len(graphs)} past tasks have a graph; at least {LEARNABLE} are needed to learn."
            )
        give_back()  # what the encoder left
        past, graphs = past.only(range(len(past))[-PAST_MAX:]), graphs[-PAST_MAX:]
        # Nobody without a past is predicted: of a catalogue of thousands only the others are worth their memory.
        self._known = sorted({agent for graph in graphs for agent in graph.agents})
        cards, graphs = cards.only(self._known), _renumbered(graphs, self._known)
        members = marked([np.array(graph.agents, dtype=np.intp) for graph in graphs], len(cards))
        folds = np.arange(len(graphs)) % FOLDS
        self._cards = Cards(cards, past)
        self._likeness = Likeness(past)
        alike = self._likeness.of(past)
        in_sequence = of_tasks(alike)
        self._regressions = Regressions(alike, graphs, members)
        self._candidates = Candidates(self._regressions, members)
        near, opinions = self._past_opinions(past, alike)
        del alike  # what was said of it stays
        give_back()
        self._passages = Passages(past.texts, graphs, members, folds, opinions.agents)
        give_back()
        precedence = Precedence(cards.vectors, in_sequence, graphs, folds)
        self._members = Members(opinions, self._passages.past, members)
        held_out = self._members.held_out(folds)
        judged = Judged(opinions, self._passages.past, held_out)
        self._handovers = Handovers(graphs, precedence, judged, near, folds, len(cards))
        self.calibration = _calibrated(held_out, self._handovers.held_out(folds), graphs)

    def predict(self, tasks: Tasks) -> list[PastGraph]:
        """One graph for each task; its edges are among its agents and without a cycle."""
        parts = [self._predicted(tasks.only(range(len(tasks))[rows])) for rows in self._blocks(len(tasks))]
        return list(itertools.chain.from_iterable(parts))

    def _predicted(self, tasks: Tasks) -> list[PastGraph]:
        """Few enough tasks that all agents can be looked at for all of them at once."""
        alike = self._likeness.of(tasks)
        opinions = self._candidates.of(self._regressions.told(alike), alike, self._cards.of(tasks))
        read = self._passages.read(tasks.texts, opinions.agents)
        ranked = self._members.ranked(opinions, read)
        pairs = self._handovers.chances(Judged(opinions, read, ranked), alike)
        cut = self.calibration
        agents = np.array(self._known)[ranked.agents]
        return [
            cut_out(agents[row], ranked.chance[row], pairs[row], cut.node_threshold, cut.edge_threshold)
            for row in range(len(tasks))
        ]

    def _past_opinions(self, past: Tasks, alike: Alike) -> tuple[list[Near], Opinions]:
        """The nearest of each past task, and what is said of its candidates, by those who had not seen it."""
        near, parts = list[Near](), list[Opinions]()
        for rows in self._blocks(len(past)):
            alone, cards = alike.alone(rows), self._cards.of(past.only(range(len(past))[rows]))
            near += nearest(alone)
            parts.append(self._candidates.of(self._regressions.left_out(rows), alone, cards))
        return near, joined(parts)

    def _blocks(self, tasks: int) -> list[slice]:
        return blocks(tasks, self._regressions.columns)


def cut_out(agents: Ints, chance: Floats, pairs: Floats, node_threshold: float, edge_threshold: float) -> PastGraph:
    """The graph of one task: its likely agents, its likely edges, and who stands at their ends.

    Somebody is always in it; likelier edges come first, and none closes a cycle.
    """
    inside = len(pairs)
    edges = list[Pair]()
    above: dict[int, set[int]] = {place: set() for place in range(inside)}
    for place in np.argsort(-pairs, axis=None, kind="stable"):
        source, target = divmod(int(place), inside)
        if pairs[source, target] < edge_threshold:
            break
        if source == target or target in above[source]:
            continue
        edges.append((source, target))
        reaching = above[source] | {source}
        for other in range(inside):
            if other == target or target in above[other]:
                above[other] |= reaching
    likely = range(max(1, int((chance >= node_threshold).sum())))
    kept = sorted({*likely, *itertools.chain.from_iterable(edges)})
    named = agents.tolist()
    return PastGraph(
        tuple(named[place] for place in kept), tuple((named[source], named[target]) for source, target in edges)
    )


def f1(predicted: Sequence[PastGraph], right: Sequence[PastGraph]) -> tuple[float, float]:
    """Micro F1 of agents, and of edges as ordered pairs."""
    nodes = _f1([set(graph.agents) for graph in predicted], [set(graph.agents) for graph in right])
    edges = _f1([set(graph.edges) for graph in predicted], [set(graph.edges) for graph in right])
    return nodes, edges


T = TypeVar("T")


def _f1(predicted: Sequence[set[T]], right: Sequence[set[T]]) -> float:
    hits = sum(len(one & other) for one, other in zip(predicted, right, strict=True))
    total = sum(map(len, predicted)) + sum(map(len, right))
    return 2.0 * hits / total if total else 1.0


def _calibrated(ranked: Ranked, pairs: Floats, graphs: Sequence[PastGraph]) -> Calibration:
    def cut(node: float, edge: float) -> list[PastGraph]:
        return [cut_out(*row, node, edge) for row in zip(ranked.agents, ranked.chance, pairs, strict=True)]

    never = 2.0
    by_node = [f1(cut(float(node), never), graphs)[0] for node in THRESHOLDS]
    node = float(THRESHOLDS[int(np.argmax(by_node))])
    edge = float(THRESHOLDS[int(np.argmax([f1(cut(node, float(edge)), graphs)[1] for edge in THRESHOLDS]))])
    return Calibration(node, edge, *f1(cut(node, edge), graphs))


def _renumbered(graphs: Sequence[PastGraph], known: Sequence[int]) -> list[PastGraph]:
    """The graphs with each agent by its place among the ``known``."""
    place = {agent: row for row, agent in enumerate(known)}
    return [
        PastGraph(
            tuple(place[agent] for agent in graph.agents),
            tuple((place[source], place[target]) for source, target in graph.edges),
            tuple((place[agent], words) for agent, words in graph.steps),
        )
        for graph in graphs
    ]

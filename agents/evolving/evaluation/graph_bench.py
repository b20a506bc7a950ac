"""``aos bench graph``: how well graphs of new tasks are predicted from past ones. Called by the command line."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from agents.evolving.evaluation.graph_rows import GraphRows, within
from agents.evolving.prediction.blocks import blocks
from agents.evolving.prediction.graphs import PAST_MAX, GraphPredictor, f1
from agents.evolving.prediction.past import PastGraph
from agents.evolving.prediction.sketched import Sketcher
from agents.evolving.prediction.texts import Tasks
from tensor_layer.ports import Vector

ENOUGH = 60
"""Of fewer past tasks what is learned predicts worse than a sketch from cards and the nearest ones."""
AGENTS_MAX = 40
"""Pairs grow with the square: past graphs of more agents are passed over."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Micro F1 over the tasks; ``copied`` is the simple baseline: the graph of the nearest past task, None where there
    is none. ``held_out`` is None where past tasks were too few to learn from: ``notes`` say so."""

    node_f1: float
    edge_f1: float
    copied: tuple[float, float] | None
    held_out: tuple[float, float] | None
    exact_share: float
    learn_s: float
    predict_ms: float
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """The figures of the command."""
        return {
            "node_f1": round(self.node_f1, 4),
            "edge_f1": round(self.edge_f1, 4),
            "exact_share": round(self.exact_share, 4),
            "nearest_copied": _pair(self.copied),
            "experience_held_out": _pair(self.held_out),
            "learn_s": round(self.learn_s, 2),
            "predict_ms": round(self.predict_ms, 3),
        }


def looked_at(experience: GraphRows, agents: int) -> list[int]:
    """Rows of the catalogue whose cards are looked at: where graphs are learned, only those of agents with a past."""
    usable = _learnable(experience, agents)
    if len(usable) < ENOUGH:
        return list(range(agents))
    return sorted({agent for row in usable for agent in experience.graphs[row].agents if agent < agents})


def cards_of(texts: tuple[str, ...], looked_at: list[int], vectors: Vector) -> Tasks:
    """All cards, with the vectors of those that are looked at: to encode a large catalogue would take many minutes."""
    placed = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
    placed[looked_at] = vectors
    return Tasks(texts, placed)


def measure(cards: Tasks, experience: GraphRows, past: Vector, tasks: GraphRows, asked: Vector) -> Measured:
    """Learn from the experience, predict the tasks. Vectors are (rows, dimension) float32, unit-norm.

    Of the cards' vectors only those of ``looked_at`` need to be there.
    """
    usable = _learnable(experience, len(cards))
    solved = Tasks(experience.queries, past).only(usable)
    graphs = [within(experience.graphs[row], len(cards)) for row in usable]
    started = time.perf_counter()
    learned = GraphPredictor(cards, solved, graphs) if len(graphs) >= ENOUGH else None
    predictor = learned or Sketcher(cards, solved, graphs)
    ready = time.perf_counter()
    new = Tasks(tasks.queries, asked)
    predicted = predictor.predict(new)
    done = time.perf_counter()
    node_f1, edge_f1 = f1(predicted, tasks.graphs)
    return Measured(
        node_f1,
        edge_f1,
        f1(_copied(solved, graphs, new), tasks.graphs) if graphs else None,
        (learned.calibration.node_f1, learned.calibration.edge_f1) if learned else None,
        _exact(predicted, tasks.graphs),
        ready - started,
        (done - ready) * 1e3 / len(new),
        tuple(_notes(experience, len(cards), len(graphs), tasks)),
    )


def _learnable(experience: GraphRows, agents: int) -> list[int]:
    """Past tasks with an agent of the catalogue, and not too many."""
    return [row for row in experience.known(agents) if len(experience.graphs[row].agents) <= AGENTS_MAX]


def _notes(experience: GraphRows, agents: int, learned_from: int, tasks: GraphRows) -> Iterator[str]:
    """What a reader of the figures should know."""
    if learned_from < ENOUGH:
        yield _too_few(learned_from)
    elif learned_from > PAST_MAX:
        yield f"of {learned_from} past tasks the last {PAST_MAX} are learned from"
    crowded = len(experience.known(agents)) - learned_from
    if crowded:
        yield f"{crowded} past tasks have a graph of more than {AGENTS_MAX} agents: they are passed over"
    if not any(graph.edges for graph in tasks.graphs):
        yield "no task has an edge: edge_f1 is 1 if none is predicted, else 0"


def _too_few(graphs: int) -> str:
    return (
        f"{graphs} past tasks have a graph of known agents, {ENOUGH} are needed to learn: "
        "agents' cards and the nearest past tasks decide"
    )


def _pair(scores: tuple[float, float] | None) -> dict[str, float] | None:
    return None if scores is None else {"node_f1": round(scores[0], 4), "edge_f1": round(scores[1], 4)}


def _copied(past: Tasks, graphs: list[PastGraph], new: Tasks) -> list[PastGraph]:
    parts = [(new.vectors[rows] @ past.vectors.T).argmax(axis=1) for rows in blocks(len(new), len(past))]
    return [graphs[row] for nearest in parts for row in nearest]


def _exact(predicted: list[PastGraph], right: tuple[PastGraph, ...]) -> float:
    same = [
        set(one.agents) == set(other.agents) and set(one.edges) == set(other.edges)
        for one, other in zip(predicted, right, strict=True)
    ]
    return sum(same) / len(same)

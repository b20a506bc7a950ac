"""``aos bench graph``: how well graphs of new tasks are predicted from past ones. Called by the command line."""

import time
from dataclasses import dataclass

from agents.evolving.evaluation.graph_rows import GraphRows, within
from agents.evolving.prediction.graphs import GraphPredictor, f1
from agents.evolving.prediction.past import PastGraph
from agents.evolving.prediction.sketched import Sketcher
from agents.evolving.prediction.texts import Tasks
from tensor_layer.ports import Vector

ENOUGH = 60
"""Of fewer past tasks what is learned predicts worse than a sketch from cards and the nearest ones."""


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


def measure(cards: Tasks, experience: GraphRows, past: Vector, tasks: GraphRows, asked: Vector) -> Measured:
    """Learn from the experience, predict the tasks. Vectors are (rows, dimension) float32, unit-norm."""
    usable = experience.known(len(cards))
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
        () if learned else (_too_few(len(graphs)),),
    )


def _too_few(graphs: int) -> str:
    """What a reader of figures that were not learned should know."""
    return (
        f"{graphs} past tasks have a graph of known agents, {ENOUGH} are needed to learn: "
        "agents' cards and the nearest past tasks decide"
    )


def _pair(scores: tuple[float, float] | None) -> dict[str, float] | None:
    return None if scores is None else {"node_f1": round(scores[0], 4), "edge_f1": round(scores[1], 4)}


def _copied(past: Tasks, graphs: list[PastGraph], new: Tasks) -> list[PastGraph]:
    nearest = (new.vectors @ past.vectors.T).argmax(axis=1)
    return [graphs[row] for row in nearest]


def _exact(predicted: list[PastGraph], right: tuple[PastGraph, ...]) -> float:
    same = [
        set(one.agents) == set(other.agents) and set(one.edges) == set(other.edges)
        for one, other in zip(predicted, right, strict=True)
    ]
    return sum(same) / len(same)

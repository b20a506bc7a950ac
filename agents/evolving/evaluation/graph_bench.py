"""``aos bench graph``: how well graphs of new tasks are predicted from past ones. Called by the command line."""

import time
from dataclasses import dataclass

from agents.evolving.evaluation.graph_rows import GraphRows, within
from agents.evolving.prediction.graphs import GraphPredictor, f1
from agents.evolving.prediction.past import PastGraph
from agents.evolving.prediction.texts import Tasks
from tensor_layer.ports import Vector


@dataclass(frozen=True, slots=True)
class Measured:
    """Micro F1 over the tasks; ``copied`` is the simple baseline: the graph of the nearest past task."""

    node_f1: float
    edge_f1: float
    copied: tuple[float, float]
    held_out: tuple[float, float]
    exact_share: float
    learn_s: float
    predict_ms: float

    def as_json(self) -> dict[str, object]:
        """The figures of the command."""
        return {
            "node_f1": round(self.node_f1, 4),
            "edge_f1": round(self.edge_f1, 4),
            "exact_share": round(self.exact_share, 4),
            "nearest_copied": {"node_f1": round(self.copied[0], 4), "edge_f1": round(self.copied[1], 4)},
            "experience_held_out": {"node_f1": round(self.held_out[0], 4), "edge_f1": round(self.held_out[1], 4)},
            "learn_s": round(self.learn_s, 2),
            "predict_ms": round(self.predict_ms, 3),
        }


def measure(cards: Tasks, experience: GraphRows, past: Vector, tasks: GraphRows, asked: Vector) -> Measured:
    """Learn from the experience, predict the tasks. Vectors are (rows, dimension) float32, unit-norm.

    Raises TooLittleExperience.
    """
    usable = experience.known(len(cards))
    solved = Tasks(experience.queries, past).only(usable)
    graphs = [within(experience.graphs[row], len(cards)) for row in usable]
    started = time.perf_counter()
    predictor = GraphPredictor(cards, solved, graphs)
    learned = time.perf_counter()
    new = Tasks(tasks.queries, asked)
    predicted = predictor.predict(new)
    done = time.perf_counter()
    node_f1, edge_f1 = f1(predicted, tasks.graphs)
    return Measured(
        node_f1,
        edge_f1,
        f1(_copied(solved, graphs, new), tasks.graphs),
        (predictor.calibration.node_f1, predictor.calibration.edge_f1),
        _exact(predicted, tasks.graphs),
        learned - started,
        (done - learned) * 1e3 / len(new),
    )


def _copied(past: Tasks, graphs: list[PastGraph], new: Tasks) -> list[PastGraph]:
    nearest = (new.vectors @ past.vectors.T).argmax(axis=1)
    return [graphs[row] for row in nearest]


def _exact(predicted: list[PastGraph], right: tuple[PastGraph, ...]) -> float:
    same = [
        set(one.agents) == set(other.agents) and set(one.edges) == set(other.edges)
        for one, other in zip(predicted, right, strict=True)
    ]
    return sum(same) / len(same)

"""Which past tasks resemble one another, and how much each should count. Called by `aos mine graph`.

Nodes are tasks, edges join each to its nearest others by the cosine of their vectors (exact search by scikit-learn,
bounded by the number of tasks that the caller draws). A task's importance is a product of three things, each of which
is known to make a training window less one-sided:

- surprise: how far its outcome lies from what its neighbours' outcomes foretold (Schaul et al., Prioritized Experience
  Replay, 2016);
- rarity: the inverse of how many tasks it resembles, so that a crowd of equal tasks counts like a few;
- freshness: half as much for every ``half_life`` of age.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import networkx as nx
import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

from evolution.mining.kinds import Vectors, unit

NEIGHBOURS = 8
MIN_SIMILARITY = 0.5
HALF_LIFE = timedelta(days=14)
LEAST_SURPRISE = 0.05
"""What a task still counts that ended just as foretold."""


@dataclass(frozen=True, slots=True)
class PastTask:
    """What the graph says of one task."""

    task_id: str
    at: datetime
    success: bool
    team: str


def similarity_graph(
    tasks: Sequence[PastTask],
    vectors: Vectors,
    *,
    neighbours: int = NEIGHBOURS,
    min_similarity: float = MIN_SIMILARITY,
    half_life: timedelta = HALF_LIFE,
) -> "nx.Graph[str]":
    """Tasks with ``importance`` (sums to 1), edges with ``similarity``; ``vectors`` are (n, dimension) float32."""
    graph: nx.Graph[str] = nx.Graph()
    if not tasks:
        return graph
    similarity, nearest = _nearest(unit(vectors), min(neighbours, len(tasks) - 1))
    close = similarity >= min_similarity
    weights = importance(tasks, similarity, nearest, close, half_life)
    for number, task in enumerate(tasks):
        graph.add_node(
            task.task_id,
            at=task.at.isoformat(),
            success=task.success,
            team=task.team,
            importance=float(weights[number]),
        )
    for number, other in np.argwhere(close).tolist():
        neighbour = tasks[int(nearest[number, other])].task_id
        graph.add_edge(tasks[number].task_id, neighbour, similarity=float(similarity[number, other]))
    return graph


def importance(
    tasks: Sequence[PastTask],
    similarity: NDArray[np.float32],
    nearest: NDArray[np.intp],
    close: NDArray[np.bool_],
    half_life: timedelta = HALF_LIFE,
) -> NDArray[np.float64]:
    """How much each task (n,) should count, summing to 1; the neighbours' arrays are (n, k)."""
    success = np.array([task.success for task in tasks], dtype=np.float64)
    weight = np.where(close, similarity, 0.0)
    # One more neighbour that succeeds half the time: a task without any surprises by one half.
    foretold = ((weight * success[nearest]).sum(axis=1) + 0.5) / (weight.sum(axis=1) + 1.0)
    surprise = np.maximum(np.abs(success - foretold), LEAST_SURPRISE)
    rarity = 1.0 / (1.0 + weight.sum(axis=1))
    newest = max(task.at for task in tasks)
    ages = np.array([(newest - task.at) / half_life for task in tasks])
    raw = surprise * rarity * np.exp(-math.log(2.0) * ages)
    return np.asarray(raw / raw.sum(), dtype=np.float64)


def _nearest(vectors: Vectors, neighbours: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Cosine and place (n, k) of each row's nearest other rows."""
    if neighbours < 1:
        return np.zeros((len(vectors), 0), np.float32), np.zeros((len(vectors), 0), np.intp)
    found = NearestNeighbors(n_neighbors=neighbours, metric="cosine", algorithm="brute").fit(vectors)
    distance, place = found.kneighbors()
    return (1.0 - distance).astype(np.float32), place

"""Tasks are joined to those they resemble, and what surprises, is rare or fresh counts more."""

from datetime import timedelta

import numpy as np
import pytest

from evolution.mining.similarity import PastTask, similarity_graph
from tests.unit.evolution.experience_records import MOMENT


def a_task(number, *, success=True, days_ago=0.0):
    return PastTask(f"t{number}", MOMENT - timedelta(days=days_ago), success, "ocr")


def crowd(centre, count, rng):
    return centre + 0.05 * rng.normal(size=(count, len(centre)))


def test_tasks_are_joined_to_their_like_only():
    rng = np.random.default_rng(1)
    vectors = np.concatenate([crowd(np.eye(16)[0], 10, rng), crowd(np.eye(16)[1], 10, rng)]).astype(np.float32)
    graph = similarity_graph([a_task(n) for n in range(20)], vectors)
    assert graph.number_of_nodes() == 20
    assert all((int(a[1:]) < 10) == (int(b[1:]) < 10) for a, b in graph.edges)
    assert all(graph.degree[node] >= 8 for node in graph)


def test_a_surprise_a_rarity_and_the_freshest_count_more():
    rng = np.random.default_rng(2)
    vectors = np.concatenate([crowd(np.eye(16)[0], 12, rng), np.eye(16)[3:4]]).astype(np.float32)
    tasks = [a_task(n, success=n != 0, days_ago=28.0 if n == 1 else 0.0) for n in range(13)]
    counts = {name: data["importance"] for name, data in similarity_graph(tasks, vectors).nodes(data=True)}
    assert sum(counts.values()) == pytest.approx(1)
    assert counts["t0"] > 2 * counts["t5"]  # failed among tasks that succeed
    assert counts["t12"] > 2 * counts["t5"]  # like no other
    assert counts["t1"] < counts["t5"] / 2  # two half-lives old


def test_one_task_or_none_has_a_graph_too():
    assert similarity_graph([], np.zeros((0, 4), np.float32)).number_of_nodes() == 0
    assert similarity_graph([a_task(0)], np.ones((1, 4), np.float32)).number_of_edges() == 0

"""The measures of centrality agree with the library that everybody knows."""

import networkx
import numpy as np
import pytest
from centrality import pagerank, tfidf


@pytest.mark.parametrize("seed", range(5))
def test_pagerank_agrees_with_networkx(seed: int):
    graph = networkx.gnp_random_graph(30, 0.08, seed=seed, directed=True)
    edges = np.array(graph.edges)
    ranks = pagerank(edges[:, 0], edges[:, 1], np.ones(len(edges)), 30)
    expected = networkx.pagerank(graph, tol=1e-10)
    assert np.allclose(ranks, [expected[node] for node in range(30)], atol=1e-6)
    assert ranks.sum() == pytest.approx(1)


def test_a_graph_without_edges_ranks_all_alike():
    nothing = np.zeros(0, dtype=int)
    assert pagerank(nothing, nothing, np.zeros(0), 4) == pytest.approx([0.25] * 4)


def test_rare_words_weigh_more_and_rows_have_length_one():
    weights = tfidf([["sea", "boat"], ["sea", "bike"], []])
    assert np.linalg.norm(weights, axis=1) == pytest.approx([1, 1, 0])
    assert weights[0, 1] > weights[0, 2]  # columns are in alphabetical order: bike, boat, sea

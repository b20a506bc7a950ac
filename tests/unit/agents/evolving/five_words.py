"""Tasks made of five words, vectors that are bags of these, and made-up graphs: for tests of graph prediction."""

import itertools

import numpy as np

from agents.evolving.evaluation.graph_rows import GraphRows
from agents.evolving.prediction.past import PastGraph
from agents.evolving.prediction.texts import Tasks
from agents.matching.evaluation.rows import CatalogueRows

WORDS = ("scan", "translate", "summarise", "speak", "chart")
CATALOGUE = CatalogueRows(WORDS, WORDS, tuple(f"can {word} things" for word in WORDS))


def vectors(texts):
    """Bags of the known words, as unit vectors."""
    bags = np.array([[0.1 + (word in text) for word in WORDS] for text in texts], dtype=np.float32)
    bags = bags.reshape(-1, len(WORDS))
    return bags / np.linalg.norm(bags, axis=1, keepdims=True)


CARDS = Tasks(CATALOGUE.descriptions, vectors(CATALOGUE.descriptions))


def made_up(count, seed):
    rng = np.random.default_rng(seed)
    queries, graphs = [], []
    for _ in range(count):
        agents = tuple(int(a) for a in rng.permutation(len(WORDS))[: rng.integers(2, 4)])
        queries.append("please " + " and then ".join(f"{WORDS[a]} document {rng.integers(99)}" for a in agents))
        graphs.append(PastGraph(agents, tuple(itertools.pairwise(agents))))
    return GraphRows(tuple(queries), tuple(graphs))

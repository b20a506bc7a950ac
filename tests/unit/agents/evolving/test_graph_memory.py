"""Graphs are learned in bounded memory, whatever the catalogue; what is left out for it is said."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from five_words import CARDS, WORDS, made_up, vectors

from agents.evolving.evaluation import graph_bench
from agents.evolving.evaluation.graph_bench import measure
from agents.evolving.evaluation.graph_rows import GraphRows
from agents.evolving.prediction import blocks, boosting, readers
from agents.evolving.prediction.graphs import GraphPredictor
from agents.evolving.prediction.passages import Passages
from agents.evolving.prediction.past import PastGraph
from agents.evolving.prediction.readers import WORDS_MAX, Texts
from agents.evolving.prediction.regressions import marked
from agents.evolving.prediction.texts import Tasks


@pytest.fixture
def quickly(monkeypatch):
    """Few trees: what is asked here is not how good they are."""
    monkeypatch.setitem(boosting.BOOSTING, "max_iter", 5)


@pytest.mark.usefixtures("quickly")
def test_what_is_learned_does_not_depend_on_how_much_is_laid_out_at_once(monkeypatch):
    past, new = made_up(24, 3), made_up(10, 4)
    learned_from = CARDS, Tasks(past.queries, vectors(past.queries)), past.graphs
    tasks = Tasks(new.queries, vectors(new.queries))
    at_once = GraphPredictor(*learned_from).predict(tasks)
    monkeypatch.setattr(blocks, "AT_ONCE", 1)
    monkeypatch.setattr(readers, "AT_ONCE", 1)
    assert GraphPredictor(*learned_from).predict(tasks) == at_once


def test_tasks_are_taken_in_their_order_and_each_once():
    rows = [row for part in blocks.blocks(10, blocks.AT_ONCE // 4) for row in range(10)[part]]
    assert rows == list(range(10))
    assert blocks.blocks(3, 10 * blocks.AT_ONCE) == [slice(0, 1), slice(1, 2), slice(2, 3)]
    assert blocks.blocks(0, 5) == []


def test_all_tasks_times_all_agents_are_never_held_at_once():
    """What is read of 150 tasks and 4,000 agents by three readers would be 115 MB, and twice that while stacked."""
    rng = np.random.default_rng(0)
    graphs = [PastGraph(tuple(rng.choice(4000, 3, replace=False).tolist()), ()) for _ in range(150)]
    texts = [" and then ".join(f"do task{agent % 700} well" for agent in graph.agents) for graph in graphs]
    members = marked([np.array(graph.agents) for graph in graphs], 4000)
    tracemalloc.start()
    try:
        read = Passages(texts, graphs, members, np.arange(150) % 5, np.array([graph.agents for graph in graphs])).past
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read.shape == (150, 3, 3, 8)
    assert peak_bytes < 60e6


def test_only_the_first_words_of_a_long_text_are_read():
    found, words = Texts(["scan it", "speak it"]).found("scan " + "word " * (WORDS_MAX - 2) + "speak " * 100_000)
    assert words == WORDS_MAX
    assert sorted(place for _, place, _ in found) == [0, WORDS_MAX - 1]


@pytest.mark.usefixtures("quickly")
def test_past_graphs_of_a_crowd_are_passed_over_and_it_is_said():
    past, new = made_up(61, 1), made_up(5, 2)
    texts = (*CARDS.texts, *(f"other {n}" for n in range(60)))
    cards = Tasks(texts, np.resize(CARDS.vectors, (len(texts), len(WORDS))))
    crowd = PastGraph(tuple(range(50)), ())
    experience = GraphRows(past.queries, (crowd, *past.graphs[1:]))
    figures = measure(cards, experience, vectors(past.queries), new, vectors(new.queries))
    assert figures.notes == ("1 past tasks have a graph of more than 40 agents: they are passed over",)
    assert graph_bench.looked_at(experience, len(texts)) == list(range(len(WORDS)))


@pytest.mark.usefixtures("quickly")
def test_cards_of_agents_without_a_past_need_no_vectors_where_graphs_are_learned():
    past, new = made_up(80, 1), made_up(20, 2)
    texts = (*CARDS.texts, "a stranger", "another one")
    needed = graph_bench.looked_at(past, len(texts))
    assert needed == list(range(len(WORDS)))
    assert graph_bench.looked_at(made_up(20, 1), len(texts)) == list(range(len(texts)))
    cards = graph_bench.cards_of(texts, needed, CARDS.vectors)
    strangers = Tasks(texts, np.concatenate([CARDS.vectors, CARDS.vectors[:2]]))
    one, other = (measure(c, past, vectors(past.queries), new, vectors(new.queries)) for c in (cards, strangers))
    assert replace(one, learn_s=0.0, predict_ms=0.0) == replace(other, learn_s=0.0, predict_ms=0.0)


def test_that_no_task_has_an_edge_is_said():
    past = made_up(3, 1)
    asked = GraphRows(("scan it",), (PastGraph((0,), ()),))
    figures = measure(CARDS, past, vectors(past.queries), asked, vectors(asked.queries))
    assert "no task has an edge" in figures.notes[1]


def test_agents_that_no_past_task_had_cost_nothing_and_are_not_predicted():
    """Beside the two of the past stand a hundred thousand others, one with the very words of the task."""
    count = 100_001
    texts = (*(f"other {n}" for n in range(count - 3)), "scan", "translate", "scan and translate")
    cards = Tasks(texts, np.resize(vectors(["speak"]), (count, len(WORDS))))
    graph = PastGraph((count - 3, count - 2), ((count - 3, count - 2),))
    past = Tasks(tuple(f"scan and translate {n}" for n in range(12)), vectors(["scan translate"] * 12))
    assert GraphPredictor(cards, past, [graph] * 12).predict(past.only([0])) == [graph]

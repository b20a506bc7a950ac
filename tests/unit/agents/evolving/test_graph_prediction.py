"""Graphs of new tasks are predicted from past ones; what cannot be learned or read is said."""

import json
import re

import numpy as np
import pytest
from five_words import CARDS, CATALOGUE, WORDS, made_up, vectors
from scipy import sparse

from agents.evolving.evaluation.graph_bench import measure
from agents.evolving.evaluation.graph_rows import read_graphs, within
from agents.evolving.prediction.cards import Cards
from agents.evolving.prediction.graphs import GraphPredictor, TooLittleExperience, cut_out, f1
from agents.evolving.prediction.passages import Passages, of_agents, of_pairs
from agents.evolving.prediction.past import PastGraph
from agents.evolving.prediction.readers import PLACE
from agents.evolving.prediction.reconsidered import Reconsidered
from agents.evolving.prediction.regressions import PairIndex, Regression
from agents.evolving.prediction.sketched import Sketcher
from agents.evolving.prediction.texts import Likeness, Tasks, in_sequence
from agents.matching.evaluation.json_lines import RowsInvalid
from agents.matching.evaluation.rows import CatalogueRows


@pytest.fixture(scope="module")
def measured():
    past, new = made_up(160, 1), made_up(60, 2)
    return measure(CARDS, past, vectors(past.queries), new, vectors(new.queries))


def test_agents_named_in_the_words_are_found(measured):
    assert measured.node_f1 > 0.95


def test_the_order_of_the_words_orders_the_work(measured):
    assert measured.edge_f1 > 0.75
    assert measured.edge_f1 > measured.copied[1] + 0.2


def test_learning_twice_gives_the_same_graphs():
    past, new = made_up(24, 3), made_up(10, 4)
    tasks = Tasks(new.queries, vectors(new.queries))
    one, other = (
        GraphPredictor(CARDS, Tasks(past.queries, vectors(past.queries)), past.graphs).predict(tasks) for _ in range(2)
    )
    assert one == other


def test_too_little_experience_is_refused_with_the_number_that_is_needed():
    past = made_up(3, 0)
    with pytest.raises(TooLittleExperience, match="3 past tasks have a graph; at least 10"):
        GraphPredictor(CARDS, Tasks(past.queries, vectors(past.queries)), past.graphs)


@pytest.mark.parametrize(("rows", "copied"), [(0, None), (3, ...), (12, ...)])
def test_with_few_past_tasks_cards_and_the_nearest_ones_decide_and_it_is_said(rows, copied):
    past, new = made_up(rows, 1), made_up(40, 2)
    figures = measure(CARDS, past, vectors(past.queries), new, vectors(new.queries))
    assert figures.node_f1 > 0.8
    assert figures.held_out is None
    assert f"{rows} past tasks have a graph of known agents, 60 are needed" in figures.notes[0]
    assert figures.as_json()["experience_held_out"] is None
    assert copied is ... or (figures.copied, figures.as_json()["nearest_copied"]) == (None, None)


def test_a_sketch_has_as_many_agents_as_is_usual_in_their_usual_order():
    past = Tasks(("scan it then speak it and chart it",) * 2, vectors(["scan speak chart"] * 2))
    graph = PastGraph((3, 4, 0), ((3, 4), (4, 0)))
    asked = Tasks(("speak scan chart",), vectors(["speak scan chart"]))
    assert Sketcher(CARDS, past, [graph] * 2).predict(asked) == [graph]
    assert Sketcher(CARDS, past, [PastGraph((3,), ())] * 2).predict(asked) == [PastGraph((3,), ())]
    assert Sketcher(CARDS, past, [PastGraph((3, 0), ())] * 2).predict(asked) == [PastGraph((3, 0), ())]


def test_of_agents_nobody_used_a_sketch_knows_the_cards():
    past = Tasks(("scan it",), vectors(["scan"]))
    asked = Tasks(("translate the thing",), vectors(["translate"]))
    assert Sketcher(CARDS, past, [PastGraph((0,), ())]).predict(asked) == [PastGraph((1,), ())]


def test_experience_of_one_single_graph_is_learned_as_it_is():
    graph = PastGraph((0, 1), ((0, 1),))
    past = Tasks(tuple(f"scan and translate {n}" for n in range(12)), vectors(["scan translate"] * 12))
    predictor = GraphPredictor(CARDS, past, [graph] * 12)
    assert predictor.predict(past.only([0])) == [graph]


def test_texts_without_words_are_compared_by_meaning_alone():
    silent = Tasks(("?!", "…"), vectors(["scan", "speak"]))
    alike = Likeness(silent).of(silent)
    assert not alike.words.any()
    assert alike.meaning[0, 0] == pytest.approx(1.0)


def test_which_word_stands_before_which_is_read():
    assert in_sequence("Please cancel the alarm, then set it") == [
        *("cancel", "alarm", "then", "set"),
        *("cancel<alarm", "cancel<then", "cancel<set", "alarm<then", "alarm<set", "then<set"),
    ]


def test_leaving_one_out_in_closed_form_is_learning_without_it():
    points = np.random.default_rng(0).normal(size=(8, 3))
    kernel, targets = np.exp(points @ points.T / 4.0), sparse.csr_matrix((points[:, :2] > 0) + 0.0)
    rest = np.arange(1, 8)
    alone = Regression(kernel[np.ix_(rest, rest)], targets[rest], 0.2).told(kernel[:1, rest])
    assert Regression(kernel, targets, 0.2).left_out(slice(0, 1))[0] == pytest.approx(alone[0], abs=1e-5)


def test_who_was_in_no_other_task_is_told_exactly_nothing_of_its_own():
    """Not a billionth: the second stages would learn to read that."""
    points = np.random.default_rng(0).normal(size=(40, 3))
    left_out = Regression(np.exp(points @ points.T / 4.0), sparse.eye(40, format="csr"), 0.2).left_out(slice(0, 40))
    assert not np.diag(left_out).any()


def test_pairs_that_were_never_met_are_told_nothing():
    index = PairIndex([(0, 2), (2, 1), (0, 2)], 3)
    among = index.among(np.array([[0.7, 0.4]]), np.array([[2, 0, 1]]))
    assert among[0].tolist() == [[0.0, 0.0, 0.4], [0.7, 0.0, 0.0], [0.0, 0.0, 0.0]]


def read_by(texts, steps=()):
    """Passages of past tasks by their words; the first agents' steps, where given."""
    members = np.array([[word in text for word in WORDS] for text in texts], dtype=float)
    graphs = [PastGraph(tuple(np.flatnonzero(row)), (), tuple(steps)) for row in members]
    return Passages(texts, graphs, sparse.csr_matrix(members), np.arange(len(texts)) % 2, everybody(texts))


def everybody(texts):
    return np.tile(np.arange(len(WORDS)), (len(texts), 1))


def said_by(passages, text):
    """(agents, readers, READ)."""
    return passages.read([text], everybody([text]))[0]


def test_agents_are_spoken_of_where_their_words_stand():
    past = ["scan the paper and speak it", "translate the paper", "speak it", "scan the paper", "translate it"]
    read = said_by(read_by(past), "please kindly now speak of all those many things here and then scan them")
    scan, speak = read[WORDS.index("scan")], read[WORDS.index("speak")]
    assert speak[0, PLACE] < 0.4 < 0.6 < scan[0, PLACE]
    assert min(scan[0, 0], speak[0, 0]) > read[WORDS.index("translate"), 0, 0]


def test_what_agents_were_asked_in_their_steps_says_more_than_whole_tasks():
    past = ["scan and speak"] * 12
    steps = [(WORDS.index("scan"), "take a picture"), (WORDS.index("speak"), "read it aloud")]
    read = said_by(read_by(past, steps), "read it aloud, then take a picture")
    assert not read[:, 0, 0].any()
    scan, speak = read[WORDS.index("scan"), -1], read[WORDS.index("speak"), -1]
    assert speak[PLACE] < scan[PLACE]
    assert min(scan[0], speak[0]) > read[WORDS.index("chart"), -1, 0]


def test_a_past_task_is_read_without_its_own_fold():
    alone = read_by(["scan it", "speak it", "scan it", "translate it"])
    assert alone.past[1, WORDS.index("speak"), 0, 0] <= 0.0
    assert said_by(alone, "speak it")[WORDS.index("speak"), 0, 0] > 0.1


def test_texts_without_known_words_are_read_as_nothing():
    read = said_by(read_by(["scan it", "speak it"]), "?!")
    assert read.tolist() == [[[0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5]] * 3] * len(WORDS)


def test_who_leads_where_it_is_spoken_of_and_in_how_many_words_is_read():
    past = ["scan it", "speak it", "translate it", "scan it", "translate it", "speak it"]
    read = said_by(read_by(past), "scan the long paper that I hold here in my own two hands and speak")[:, 0]
    lead, led, share = read[:, 3], read[:, 4], read[:, 5]
    scan, speak, chart = (WORDS.index(word) for word in ("scan", "speak", "chart"))
    assert min(lead[scan], lead[speak]) > 0.0 > lead[chart]
    assert led[[scan, speak]].sum() > 0.9
    assert share.sum() == pytest.approx(1.0)
    assert min(share[scan], share[speak]) > share[chart]


def test_agents_are_judged_without_their_supposed_passages():
    read = np.arange(48.0).reshape(1, 2, 3, 8)
    assert of_agents(read)[0].tolist() == [[*range(6), *range(16, 22)], [*range(24, 30), *range(40, 46)]]


def test_tasks_are_compared_with_cards_by_meaning_and_by_words():
    cards = Tasks(("file_write: writes to disk", "chart: draws"), vectors(["scan", "chart"]))
    past = Tasks(("write the file", "draw it"), vectors(["scan", "chart"]))
    meaning, words = Cards(cards, past).of(Tasks(("file this", "!?"), vectors(["scan", "chart"])))
    assert meaning[0, 0] > meaning[0, 1]
    assert words[0, 0] > 0.3
    assert not words[0, 1]
    assert not words[1].any()


def test_cards_without_words_are_compared_by_meaning_alone():
    silent = Tasks(("?", "!"), vectors(["scan", "chart"]))
    assert not Cards(silent, silent).of(silent)[1].any()


def test_a_pair_is_looked_at_again_beside_the_tasks_other_pairs():
    """Of two likely links from one agent only the likelier one was ever right: nothing of that is in the first look."""
    rng = np.random.default_rng(0)
    pairs = ~np.eye(3, dtype=bool)
    first = np.zeros((400, 3, 3))
    first[:, 0, 1:] = rng.uniform(0.4, 0.8, (400, 2))
    right = np.zeros(first.shape, dtype=bool)
    right[np.arange(400), 0, 1 + first[:, 0, 1:].argmax(axis=1)] = True
    again = Reconsidered(first[:300], np.ones((300, 3)), right[:300], pairs).chances(first[300:], np.ones((100, 3)))
    assert again[right[300:]].mean() > first[right].mean() + 0.1
    assert again[:, 0, 1:][~right[300:, 0, 1:]].mean() < 0.4


def test_pairs_see_both_ends_and_which_is_spoken_of_earlier():
    source, target = [1.0, 2.0, 0.2, 5.0, 6.0, 7.0], [3.0, 4.0, 0.9, 8.0, 8.0, 9.0]
    read = np.array([[[[*source, 4.0, 0.4]], [[*target, 7.0, 0.7]]]])
    assert of_pairs(read)[0, 0, 1].tolist() == pytest.approx([*source, *target, -0.7, -3.0, -0.3])


def test_past_tasks_without_any_handover_give_graphs_without_one():
    past = Tasks(tuple(f"scan document {n}" for n in range(12)), vectors(["scan"] * 12))
    predictor = GraphPredictor(CARDS, past, [PastGraph((0,), ())] * 12)
    assert predictor.predict(past.only([0])) == [PastGraph((0,), ())]


def test_no_predicted_graph_has_a_cycle():
    pairs = np.array([[0.0, 0.9, 0.2], [0.3, 0.0, 0.8], [0.7, 0.1, 0.0]])
    graph = cut_out(np.array([4, 2, 3]), np.array([0.9, 0.8, 0.7]), pairs, 0.5, 0.15)
    assert graph == PastGraph((4, 2, 3), ((4, 2), (2, 3), (4, 3)))


def test_somebody_is_always_in_the_graph():
    graph = cut_out(np.array([4, 2]), np.array([0.1, 0.05]), np.zeros((2, 2)), 0.5, 0.5)
    assert graph == PastGraph((4,), ())


def test_a_likely_edge_brings_its_ends():
    graph = cut_out(np.array([4, 2, 3]), np.array([0.9, 0.4, 0.3]), np.array([[0.0, 0.1], [0.6, 0.0]]), 0.5, 0.5)
    assert graph == PastGraph((4, 2), ((2, 4),))


def test_f1_counts_agents_and_ordered_pairs_over_all_tasks():
    right = [PastGraph((0, 1), ((0, 1),)), PastGraph((2,), ())]
    predicted = [PastGraph((0, 1), ((1, 0),)), PastGraph((2, 3), ())]
    assert f1(predicted, right) == (pytest.approx(6 / 7), 0.0)


def written(folder, *rows):
    file = folder / "tasks.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return file


def test_rows_are_read_by_place_in_the_catalogue(tmp_path):
    row = {"query": "scan it", "nodes": ["scan", "speak"], "edges": [["scan", "speak"]]}
    rows = read_graphs(written(tmp_path, row), CATALOGUE)
    assert (rows.graphs, rows.notes) == ((PastGraph((0, 3), ((0, 3),)),), ())


def test_steps_are_learned_of_the_node_they_name_else_of_that_of_their_place(tmp_path):
    row = {"query": "q", "nodes": ["scan", "speak"], "edges": []}
    named = {**row, "steps": ["Call 'speak' aloud", "Call scan to read it", "Call nobody"]}
    placed = {**row, "steps": ["read it", "say it"]}
    both = {**row, "steps": ["scan, then speak"]}
    rows = read_graphs(written(tmp_path, named, placed, both, row), CATALOGUE)
    assert [graph.steps for graph in rows.graphs] == [
        ((3, "Call aloud"), (0, "Call to read it")),
        ((0, "read it"), (3, "say it")),
        (),
        (),
    ]


@pytest.mark.parametrize("steps", ["scan it", 3, {"scan": 1}, [{"agent": "scan"}], None])
def test_steps_of_another_form_are_passed_over_and_noted(tmp_path, steps):
    row = {"query": "scan it", "nodes": ["scan"], "edges": [], "steps": steps}
    rows = read_graphs(written(tmp_path, row), CATALOGUE)
    assert rows.graphs == (PastGraph((0,), ()),)
    assert "'steps' is no list of texts; it is passed over" in rows.notes[0]


def test_a_task_that_needed_nobody_is_measured_and_teaches_nothing(tmp_path):
    rows = read_graphs(written(tmp_path, {"query": "hello", "nodes": [], "edges": []}), CATALOGUE)
    assert rows.graphs == (PastGraph((), ()),)
    assert rows.known(len(CATALOGUE.ids)) == []


def test_nodes_named_twice_and_links_in_circles_are_read_as_they_are(tmp_path):
    row = {"query": "x", "nodes": ["scan", "speak", "scan"], "edges": [["scan", "speak"], ["speak", "scan"]] * 2}
    rows = read_graphs(written(tmp_path, row), CATALOGUE)
    assert rows.graphs == (PastGraph((0, 3), ((0, 3), (3, 0))),)
    assert "tasks.jsonl:1: node 'scan' is named twice; it counts once" in rows.notes[0]
    assert "tasks.jsonl:1: its edges go round in a circle" in rows.notes[1]


def test_a_link_of_an_agent_to_itself_is_noted(tmp_path):
    row = {"query": "x", "nodes": ["scan"], "edges": [["scan", "scan"]]}
    rows = read_graphs(written(tmp_path, row), CATALOGUE)
    assert rows.graphs == (PastGraph((0,), ((0, 0),)),)
    assert "an edge leads from 'scan' to itself" in rows.notes[0]


def test_a_node_outside_the_catalogue_counts_as_missed_and_is_noted(tmp_path):
    row = {"query": "fly", "nodes": ["scan", "fly"], "edges": [["scan", "fly"]]}
    rows = read_graphs(written(tmp_path, row), CATALOGUE)
    assert rows.graphs[0] == PastGraph((0, 5), ((0, 5),))
    assert within(rows.graphs[0], 5) == PastGraph((0,), ())
    assert "'fly' is not in the catalogue" in rows.notes[0]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("{", "is no JSON"),
        ({"nodes": ["scan"], "edges": []}, "'query' is missing"),
        ({"query": "x", "edges": []}, "'nodes' is missing; expected a list of ids"),
        ({"query": "x", "nodes": [["scan"]], "edges": []}, "'nodes' is a list of other things"),
        ({"query": "x", "nodes": ["scan"]}, "'edges' is missing; expected pairs of ids"),
        ({"query": "x", "nodes": ["scan"], "edges": [["scan", "scan", 1]]}, "'edges' is a list of other things"),
        ({"query": "x", "nodes": ["scan"], "edges": [{"from": "scan"}]}, "'edges' is a list of other things"),
        ({"query": "x", "nodes": ["scan"], "edges": [[["scan"], "scan"]]}, "'edges' is a list of other things"),
        ({"query": "x", "nodes": [], "edges": [["scan", "speak"]]}, "an edge names 'scan'"),
        ({"query": "x", "nodes": ["scan"], "edges": [["scan", "speak"]]}, "an edge names 'speak'"),
    ],
)
def test_a_wrong_row_is_named_by_file_and_line(tmp_path, row, words):
    with pytest.raises(RowsInvalid, match="has a wrong row") as refused:
        read_graphs(written(tmp_path, row), CATALOGUE)
    assert re.search(f"tasks.jsonl:1: .*{words}", refused.value.lines[0])


def test_ids_that_are_numbers_are_words(tmp_path):
    catalogue = CatalogueRows(("1", "2"), ("one", "two"), ("", ""))
    rows = read_graphs(written(tmp_path, {"query": "x", "nodes": [1, 2], "edges": [[1, 2]]}), catalogue)
    assert rows.graphs[0] == PastGraph((0, 1), ((0, 1),))


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(RowsInvalid, match="has no rows"):
        read_graphs(written(tmp_path, ""), CATALOGUE)

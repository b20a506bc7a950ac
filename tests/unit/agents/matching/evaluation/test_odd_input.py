"""The evaluation commands on strange files: an answer that says what was missing, or a clear error."""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from agents.matching.evaluation import learn_bench, match_bench, route_bench
from agents.matching.evaluation.json_lines import RowsInvalid
from agents.matching.evaluation.rows import read_catalogue, read_outcomes, read_queries
from agents.matching.evaluation.vector_cache import VectorCache

WIDTH = 32


async def by_words(texts: Sequence[str]) -> np.ndarray:
    """An encoder good enough here: each text is the sum of its words' directions, each word's drawn by its letters."""
    rows = [sum((_direction(word) for word in text.lower().split()), _direction("")) for text in texts]
    return np.array([row / np.linalg.norm(row) for row in rows], dtype=np.float32).reshape(len(texts), WIDTH)


def _direction(word: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "little")
    return np.random.default_rng(seed).normal(size=WIDTH)


class Bench:
    """Files in a folder, measured as the commands measure them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.vectors = VectorCache(folder / "vectors.sqlite", by_words, WIDTH)

    def file(self, name: str, rows: list[dict]) -> Path:
        path = self.folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
        return path

    def match(self, catalogue: list[dict], queries: list[dict], experience: list[dict] | None = None):
        agents = read_catalogue(self.file("catalogue", catalogue))
        asked = read_queries(self.file("queries", queries), agents)
        cards = asyncio.run(match_bench.load_cards(agents, self.vectors))
        solved = None
        if experience is not None:
            past = read_queries(self.file("experience", experience), agents, may_be_empty=True)
            solved = asyncio.run(match_bench.load_solved(past, self.vectors))
        vectors = asyncio.run(self.vectors.encode(asked.queries))
        return match_bench.measure(cards, asked, vectors, solved, seed=0)

    def learn(
        self,
        catalogue: list[dict],
        stream: list[dict],
        test: list[dict],
        steps: int,
        cold: tuple[int, ...] | None = None,
    ):
        agents = read_catalogue(self.file("catalogue", catalogue))
        walked, asked = (read_queries(self.file(n, rows), agents) for n, rows in (("stream", stream), ("test", test)))
        cards = asyncio.run(match_bench.load_cards(agents, self.vectors))
        queries = [learn_bench.Asked(rows, asyncio.run(self.vectors.encode(rows.queries))) for rows in (walked, asked)]
        return learn_bench.measure(cards, queries[0], queries[1], steps, 0, cold)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


WORDS = ("weather", "music", "travel", "cooking", "banking")
CATALOGUE = [{"id": word, "name": word, "description": f"questions on {word}"} for word in WORDS]
QUERIES = [{"query": f"please help with {word}", "gold": [word]} for word in WORDS]
STRANGE = [{"query": f"glue number {number}", "gold": []} for number in range(30)]
EXPERIENCE = [{"query": f"{word} again {number}", "gold": [word]} for number in range(12) for word in WORDS]


def test_empty_descriptions_leave_the_name_to_speak(bench: Bench):
    bare = [{"id": word, "description": ""} for word in WORDS]
    assert bench.match(bare, QUERIES).recall_at_1 == 1.0


def test_empty_experience_is_no_experience_and_says_so(bench: Bench):
    figures = bench.match(CATALOGUE, QUERIES, [])
    assert figures.recall_at_1 == bench.match(CATALOGUE, QUERIES).recall_at_1
    assert any("cards alone decide" in note for note in figures.notes)


def test_experience_of_out_of_scope_queries_alone_changes_nothing_and_says_so(bench: Bench):
    figures = bench.match(CATALOGUE, QUERIES, STRANGE)
    assert figures.recall_at_1 == 1.0
    assert any("cards alone decide" in note for note in figures.notes)


def test_experience_with_agents_that_are_gone_teaches_from_the_others(bench: Bench):
    gone = [{"query": f"old {number}", "gold": ["gone"]} for number in range(40)]
    figures = bench.match(CATALOGUE, QUERIES, EXPERIENCE + gone)
    assert figures.experience == len(EXPERIENCE)
    assert figures.recall_at_1 == 1.0


def test_all_queries_out_of_scope_have_no_recall(bench: Bench):
    figures = bench.match(CATALOGUE, STRANGE, EXPERIENCE)
    assert figures.recall_at_1 is None
    assert figures.mrr is None
    assert figures.abstain_auroc is None
    assert any("out of scope" in note for note in figures.notes)
    json.dumps(figures.as_json(), allow_nan=False)


def test_gold_outside_the_catalogue_is_a_miss_and_not_out_of_scope(bench: Bench):
    figures = bench.match(CATALOGUE, [*QUERIES, {"query": "help", "gold": ["gone"]}])
    assert figures.recall_at_1 == pytest.approx(5 / 6)
    assert figures.abstain_auroc is None


def test_a_catalogue_of_one_agent(bench: Bench):
    one = [row for row in EXPERIENCE if row["gold"] == ["weather"]] * 3
    figures = bench.match(CATALOGUE[:1], [*QUERIES[:1], *STRANGE], one)
    assert figures.recall_at_1 == 1.0


def test_other_scripts_than_latin(bench: Bench):
    cards = [
        {"id": "w", "name": "天気", "description": "天気 予報"},
        {"id": "m", "name": "музыка", "description": "песни"},
    ]
    asked = [{"query": "明日 の 天気", "gold": ["w"]}, {"query": "включи песни", "gold": ["m"]}]
    past = [{"query": f"天気 {number} 🌧", "gold": ["w"]} for number in range(15)]
    past += [{"query": f"музыка {number}", "gold": ["m"]} for number in range(15)]
    assert bench.match(cards, asked, past).recall_at_1 == 1.0


def test_all_cards_alike_still_give_an_order(bench: Bench):
    same = [{"id": f"copy{number}", "name": "copy", "description": "does it"} for number in range(8)]
    asked = [{"query": "does it", "gold": ["copy3"]}]
    past = [{"query": f"does it {number}", "gold": ["copy3"]} for number in range(40)]
    assert bench.match(same, asked, past).recall_at_1 == 1.0


def test_duplicate_ids_are_an_error_that_names_both_lines(bench: Bench):
    with pytest.raises(RowsInvalid) as refused:
        bench.match([*CATALOGUE, CATALOGUE[0]], QUERIES)
    assert "also on line 1" in refused.value.lines[0]


def test_a_stream_that_nobody_can_serve_teaches_nobody_harm(bench: Bench):
    figures = bench.learn(CATALOGUE, STRANGE, QUERIES, steps=150)
    assert figures.online_first_500 == 0.0
    assert figures.frozen_recall_at_1 is not None
    json.dumps(figures.as_json(), allow_nan=False)


def test_every_agent_cold(bench: Bench):
    figures = bench.learn(CATALOGUE, EXPERIENCE, QUERIES, steps=30, cold=tuple(range(len(WORDS))))
    assert figures.online_first_500 == 0.0
    assert figures.warm_recall_at_1 is None
    assert figures.cold_recall_at_1 == 1.0
    assert any("nobody could be chosen" in note for note in figures.notes)


def test_an_empty_list_of_cold_agents_is_answered_too(bench: Bench):
    figures = bench.learn(CATALOGUE, EXPERIENCE, QUERIES, steps=30, cold=()).as_json()
    assert (figures["warm_recall_at_1"], figures["cold_recall_at_1"]) == (1.0, None)
    asked_for_none = bench.learn(CATALOGUE, EXPERIENCE, QUERIES, steps=30).as_json()
    assert "cold_recall_at_1" not in asked_for_none


def test_a_stream_shorter_than_its_steps_says_how_often_it_is_walked(bench: Bench):
    notes = bench.learn(CATALOGUE, QUERIES, QUERIES, steps=20).notes
    assert "the stream has 5 queries: 20 steps meet each 4 times" in notes
    assert "fewer than 5000 steps: online_last_5000 is over all 20" in notes


def test_without_a_query_out_of_scope_it_says_that_abstaining_is_not_measured(bench: Bench):
    assert any("abstaining is not measured" in note for note in bench.match(CATALOGUE, QUERIES).notes)


def test_few_queries_are_all_timed(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    timed: list[int] = []
    monkeypatch.setattr(match_bench.scores, "percentiles_ms", lambda spent: timed.append(len(spent)) or {})
    bench.match(CATALOGUE, QUERIES)
    assert timed == [len(QUERIES)]


@pytest.mark.parametrize("most", [1, 1450])
def test_scores_are_said_as_the_rows_have_them(bench: Bench, most: int):
    past = [{"prompt": f"p {number}", "outcomes": {"a": -number, "b": most * number}} for number in range(30)]
    asked = [{"prompt": "p 1", "outcomes": {"a": 0, "b": 1}}, {"prompt": "p 2", "outcomes": {"a": 1, "b": 0.2}}]
    rows = [read_outcomes(bench.file(name, few)) for name, few in (("train", past), ("test", asked))]
    vectors = tuple(asyncio.run(bench.vectors.encode(few.prompts)) for few in rows)
    figures = route_bench.measure(*rows, vectors, seed=0)
    assert (figures.oracle, figures.random, figures.best_in_hindsight) == (1.0, (0.5 + 0.6) / 2, 0.6)


def test_outcomes_of_one_agent_on_one_prompt(bench: Bench):
    rows = read_outcomes(bench.file("route", [{"prompt": "p", "outcomes": {"a": 1}}]))
    vectors = asyncio.run(bench.vectors.encode(rows.prompts))
    figures = route_bench.measure(rows, rows, (vectors, vectors), seed=0)
    assert figures.mean_score == figures.best_single == 1.0


@pytest.mark.parametrize(
    ("costs", "says"),
    [
        ({"a": -1}, "'a' is -1; expected a number from 0 on"),
        ({"a": 1, "b": "2"}, "'b' is text"),
        ([1], "'costs' is a list"),
    ],
)
def test_costs_that_are_none_are_an_error_with_their_line(bench: Bench, costs: object, says: str):
    row = {"prompt": "p", "outcomes": {"a": 1, "b": 0}}
    with pytest.raises(RowsInvalid) as refused:
        read_outcomes(bench.file("route", [row, row | {"costs": costs}]))
    assert ":2: " in refused.value.lines[0]
    assert says in refused.value.lines[0]


@pytest.mark.parametrize(
    ("costs", "basis"),
    [
        ({"a": 4, "b": 2}, "costs of the rows"),
        ({"a": 4, "b": None}, "do not say the cost of every agent"),
        ({}, "no costs"),
    ],
)
def test_what_a_price_rests_on_is_said(bench: Bench, costs: dict, basis: str):
    past = [{"prompt": f"p {number}", "outcomes": {"a": 1, "b": 0}, "costs": costs} for number in range(5)]
    rows = read_outcomes(bench.file("route", past))
    vectors = asyncio.run(bench.vectors.encode(rows.prompts))
    assert basis in route_bench.measure(rows, rows, (vectors, vectors), seed=0).cost_basis

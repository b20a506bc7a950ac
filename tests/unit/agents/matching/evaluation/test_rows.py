"""Files are read with care: what is wrong is named by line, what can be used is used."""

import json
from pathlib import Path

import pytest

from agents.matching.evaluation.rows import (
    CatalogueRows,
    RowsInvalid,
    read_catalogue,
    read_ids,
    read_outcomes,
    read_queries,
)


def written(folder: Path, *rows: object) -> Path:
    file = folder / "rows.jsonl"
    file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return file


AGENTS = CatalogueRows(("a", "b"), ("A", "B"), ("does a", "does b"))


def test_a_catalogue_keeps_the_order_of_the_file(tmp_path: Path):
    rows = read_catalogue(
        written(tmp_path, {"id": "b", "name": "B", "description": "x"}, "", {"id": "a", "category": 1})
    )
    assert (rows.ids, rows.names, rows.descriptions) == (("b", "a"), ("B", "a"), ("x", ""))
    assert "rows.jsonl:3" in rows.notes[0]
    assert "no description" in rows.notes[0]


def test_duplicate_ids_are_refused_with_both_lines(tmp_path: Path):
    with pytest.raises(RowsInvalid) as refused:
        read_catalogue(written(tmp_path, {"id": "a"}, {"id": "b"}, {"id": "a"}))
    assert "rows.jsonl:3: id 'a' is also on line 1" in refused.value.lines[0]


@pytest.mark.parametrize("row", ["{", "[1]", '{"id": 7}', '{"name": "x"}', '{"id": "a", "description": 3}'])
def test_a_wrong_line_is_named(tmp_path: Path, row: str):
    with pytest.raises(RowsInvalid) as refused:
        read_catalogue(written(tmp_path, {"id": "fine"}, row))
    assert "rows.jsonl:2" in " ".join([str(refused.value), *refused.value.lines])


def test_of_many_wrong_lines_some_are_shown_and_the_rest_counted(tmp_path: Path):
    with pytest.raises(RowsInvalid) as refused:
        read_catalogue(written(tmp_path, *[{"name": "x"}] * 9))
    assert len(refused.value.lines) == 6
    assert refused.value.lines[-1] == "… and 4 more"


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe"])
def test_a_file_without_rows_is_refused(tmp_path: Path, content: bytes):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content)
    with pytest.raises(RowsInvalid):
        read_catalogue(file)


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(RowsInvalid, match="cannot be read"):
        read_catalogue(tmp_path / "nowhere.jsonl")


def test_gold_becomes_rows_of_the_catalogue_and_none_is_out_of_scope(tmp_path: Path):
    rows = read_queries(written(tmp_path, {"query": "q", "gold": ["b", "a", "b"]}, {"query": "r", "gold": []}), AGENTS)
    assert rows.gold == ((1, 0), ())
    assert not rows.unanswerable


def test_unknown_gold_is_noted_and_is_not_taken_for_out_of_scope(tmp_path: Path):
    rows = read_queries(written(tmp_path, {"query": "q", "gold": ["x"]}, {"query": "r", "gold": ["a", "x"]}), AGENTS)
    assert rows.gold == ((), (0,))
    assert rows.unanswerable == {0}
    assert "'x' is not in the catalogue" in rows.notes[0]


@pytest.mark.parametrize("row", [{"query": "q"}, {"query": " ", "gold": []}, {"query": "q", "gold": "a"}, {"gold": []}])
def test_queries_need_words_and_a_gold(tmp_path: Path, row: object):
    with pytest.raises(RowsInvalid) as refused:
        read_queries(written(tmp_path, row), AGENTS)
    assert "rows.jsonl:1" in refused.value.lines[0]


def test_outcomes_are_numbers_by_agent(tmp_path: Path):
    rows = read_outcomes(written(tmp_path, {"prompt": "p", "outcomes": {"a": 1, "b": 0.5}, "costs": {"a": 3}}))
    assert rows.outcomes == ({"a": 1.0, "b": 0.5},)
    assert rows.costs == {"a": 3.0}


@pytest.mark.parametrize("outcomes", [[1], {"a": "good"}, {"a": float("nan")}, None])
def test_other_outcomes_are_refused(tmp_path: Path, outcomes: object):
    with pytest.raises(RowsInvalid) as refused:
        read_outcomes(written(tmp_path, {"prompt": "p", "outcomes": outcomes}))
    assert "rows.jsonl:1" in refused.value.lines[0]


def test_a_list_of_ids_is_read_as_rows(tmp_path: Path):
    file = tmp_path / "cold.json"
    file.write_text('["b"]')
    assert read_ids(file, AGENTS) == (1,)


@pytest.mark.parametrize("content", ["{}", "[1]", '["nobody"]', "nonsense"])
def test_another_list_is_refused(tmp_path: Path, content: str):
    file = tmp_path / "cold.json"
    file.write_text(content)
    with pytest.raises(RowsInvalid):
        read_ids(file, AGENTS)

"""Files are read with care: what is wrong is named by line, what can be used is used."""

import gzip
import json
from pathlib import Path

import pytest

from agents.matching.evaluation.json_lines import RowsInvalid
from agents.matching.evaluation.rows import (
    CatalogueRows,
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


@pytest.mark.parametrize(
    "row", ["{", "[1]", '{"id": true}', '{"id": " "}', "7", '{"name": "x"}', '{"id": "a", "description": 3}']
)
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
    with pytest.raises(RowsInvalid, match="cannot be read") as refused:
        read_catalogue(tmp_path / "nowhere.jsonl")
    assert "or - for standard input" in refused.value.next_step


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


@pytest.mark.parametrize("outcomes", [[1], {"a": "good"}, {"a": float("nan")}, {"a": 10**400}, {"a": []}, None])
def test_other_outcomes_are_refused(tmp_path: Path, outcomes: object):
    with pytest.raises(RowsInvalid) as refused:
        read_outcomes(written(tmp_path, {"prompt": "p", "outcomes": outcomes}))
    assert "rows.jsonl:1" in refused.value.lines[0]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_list_of_ids_is_read_as_rows(tmp_path: Path, mark: str):
    file = tmp_path / "cold.json"
    file.write_text(mark + '["b"]', encoding="utf-8")
    assert read_ids(file, AGENTS) == (1,)


@pytest.mark.parametrize("content", ["{}", "[1]", '["nobody"]', "nonsense", "", '"a"\n"b"', "[null]"])
def test_another_list_is_refused(tmp_path: Path, content: str):
    file = tmp_path / "cold.json"
    file.write_text(content)
    with pytest.raises(RowsInvalid):
        read_ids(file, AGENTS)


@pytest.mark.parametrize(("mark", "end"), [("\ufeff", "\n"), ("", "\r\n"), ("", "\n\n")])
def test_marks_and_line_ends_of_other_systems_do_not_matter(tmp_path: Path, mark: str, end: str):
    file = tmp_path / "rows.jsonl"
    file.write_bytes((mark + end.join(['{"id": "a", "description": "é"}', '{"id": "b"}'])).encode())
    assert read_catalogue(file).ids == ("a", "b")


def test_ids_that_are_numbers_are_words_everywhere(tmp_path: Path):
    agents = read_catalogue(written(tmp_path, {"id": 7, "description": "x"}, {"id": "b", "description": "x"}))
    assert agents.ids == ("7", "b")
    assert read_queries(written(tmp_path, {"query": "q", "gold": [7, "b"]}), agents).gold == ((0, 1),)
    file = tmp_path / "cold.json"
    file.write_text("[7]")
    assert read_ids(file, agents) == (0,)


@pytest.mark.parametrize(
    ("gold", "said"),
    [("a", "is text"), ({"a": 1}, "is an object"), (None, "is missing"), ([["a"]], "is a list of other things")],
)
def test_a_gold_of_another_kind_is_called_what_it_is(tmp_path: Path, gold: object, said: str):
    with pytest.raises(RowsInvalid) as refused:
        read_queries(written(tmp_path, {"query": "q", "gold": gold}), AGENTS)
    assert f"'gold' {said}; expected a list of ids" in refused.value.lines[0]


@pytest.mark.parametrize("content", ['[{"id": "a"},\n {"id": "b"}]', '[\n{"id": "a"}\n]', '[{"id": "a"}]'])
def test_a_json_list_is_told_how_to_become_lines(tmp_path: Path, content: str):
    file = tmp_path / "rows.json"
    file.write_text(content)
    with pytest.raises(RowsInvalid, match="a list") as refused:
        read_catalogue(file)
    assert "jq -c '.[]'" in refused.value.next_step


def test_every_wrong_line_is_told_at_once_and_how_a_row_looks(tmp_path: Path):
    with pytest.raises(RowsInvalid, match="2 wrong rows") as refused:
        read_queries(written(tmp_path, "no json", {"query": "q", "gold": []}, {"gold": []}), AGENTS)
    assert [line.split(": ")[0].rsplit(":", 1)[1] for line in refused.value.lines] == ["1", "3"]
    assert '"gold": ["summary"]' in refused.value.next_step


def test_text_that_is_not_utf8_is_told_how_to_become_it(tmp_path: Path):
    file = tmp_path / "rows.jsonl"
    file.write_bytes('{"id": "é"}'.encode("latin-1"))
    with pytest.raises(RowsInvalid, match="it is not UTF-8") as refused:
        read_catalogue(file)
    assert "iconv" in refused.value.next_step


@pytest.mark.parametrize(
    ("content", "what", "hint"),
    [
        (gzip.compress(b'{"id": "a"}'), "packed with gzip", "gunzip -k"),
        ('{"id": "a"}'.encode("utf-16"), "UTF-16", "iconv -f utf-16 -t utf-8"),
    ],
    ids=["gzip", "utf-16"],  # gzip writes the second into its header: names made of content would differ by worker
)
def test_packed_files_and_other_encodings_are_told_by_their_first_bytes(
    tmp_path: Path, content: bytes, what: str, hint: str
):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content)
    with pytest.raises(RowsInvalid, match=what) as refused:
        read_catalogue(file)
    assert refused.value.next_step.endswith(str(file))
    assert hint in refused.value.next_step


def test_an_object_spread_over_many_lines_is_told_how_to_become_one(tmp_path: Path):
    with pytest.raises(RowsInvalid, match="3 wrong rows") as refused:
        read_catalogue(written(tmp_path, '{\n  "id": "a"\n}'))
    assert "jq -c ." in refused.value.next_step


def test_an_id_of_blanks_is_called_empty(tmp_path: Path):
    with pytest.raises(RowsInvalid) as refused:
        read_catalogue(written(tmp_path, {"id": "  "}))
    assert "'id' is empty; expected a word" in refused.value.lines[0]


def test_a_folder_is_no_file(tmp_path: Path):
    with pytest.raises(RowsInvalid, match="cannot be read: is a directory"):
        read_catalogue(tmp_path)


def test_scores_of_another_scale_are_noted_once(tmp_path: Path):
    rows = read_outcomes(written(tmp_path, *[{"prompt": "p", "outcomes": {"a": 80, "b": -1}}] * 3))
    assert len(rows.notes) == 1
    assert "not 0 to 1" in rows.notes[0]


def test_brackets_without_end_are_a_wrong_line(tmp_path: Path):
    with pytest.raises(RowsInvalid, match="a list"):
        read_catalogue(written(tmp_path, "[" * 100_000))
    with pytest.raises(RowsInvalid, match="a wrong row"):
        read_catalogue(written(tmp_path, '{"a":' * 100_000))

"""``--text`` and ``--dtype``: the same evaluation with an encoder of one's own, before settings name it."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import build
from gateway.cli.terminal.failure import Failed
from tests.unit.tensor_layer.encoding.tiny_checkpoints import tiny_bert

CARDS = [
    {"id": "circles", "name": "Circles", "description": "a red circle"},
    {"id": "squares", "name": "Squares", "description": "a blue square"},
]
QUERIES = [{"query": "the red circle", "gold": ["circles"]}, {"query": "the blue square", "gold": ["squares"]}]
OUTCOMES = [{"prompt": row["query"], "outcomes": {"circles": 1.0, "squares": 0.0}} for row in QUERIES]
GRAPHS = [
    {"query": "a red circle and a blue square", "nodes": ["circles", "squares"], "edges": [["circles", "squares"]]}
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = {"cards": CARDS, "queries": QUERIES, "outcomes": OUTCOMES, "graphs": GRAPHS}
    for name, rows in files.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bert(tmp_path_factory.mktemp("checkpoint") / "tiny")


def run(*words: str | Path) -> None:
    arguments = ["bench", *map(str, words)]
    build(arguments)(args=arguments, prog_name="aos", standalone_mode=False)


def printed(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, Any]:
    run(*words, "--json")
    figures: dict[str, Any] = json.loads(capsys.readouterr().out)
    return figures


def test_every_evaluation_takes_the_encoder_and_says_which_it_was(
    folder: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
):
    cards, queries, text = folder / "cards.jsonl", folder / "queries.jsonl", f"sentence-transformers:{checkpoint}"
    outcomes, graphs = folder / "outcomes.jsonl", folder / "graphs.jsonl"
    commands: list[tuple[str | Path, ...]] = [
        ("match", "--catalogue", cards, "--queries", queries),
        ("learn", "--catalogue", cards, "--stream", queries, "--test", queries, "--steps", "2"),
        ("route", "--train", outcomes, "--test", outcomes),
        ("graph", "--catalogue", cards, "--experience", graphs, "--tasks", graphs),
    ]
    for command in commands:
        assert printed(capsys, *command, "--text", text)["encoder"].startswith("tiny-"), command


def test_vectors_of_one_encoder_and_width_are_kept_apart(
    folder: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
):
    match = ("match", "--catalogue", folder / "cards.jsonl", "--queries", folder / "queries.jsonl")
    names = {
        printed(capsys, *match, *chosen)["encoder"]
        for chosen in (
            ("--text", f"sentence-transformers:{checkpoint}"),
            ("--text", f"sentence-transformers:{checkpoint}", "--dtype", "bfloat16"),
            (),
            ("--dtype", "bfloat16"),
        )
    }
    kept = {file.stem for file in (folder / "cache" / "aos" / "vectors").glob("*.sqlite")}
    assert len(names) == 4
    assert kept == names


@pytest.mark.parametrize("text", ["word2vec:somewhere", "sentence-transformers:/not/there"])
def test_an_encoder_that_is_not_there_is_said(folder: Path, text: str):
    with pytest.raises(Failed) as failed:
        run("match", "--catalogue", folder / "cards.jsonl", "--queries", folder / "queries.jsonl", "--text", text)
    assert failed.value.code == "encoder_unavailable"
    assert text.split(":", 1)[1] in str(failed.value)

"""``aos bench index`` on a small index: its figures, and that a seed repeats them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from agents.matching.evaluation.index_exact import nearest
from agents.matching.evaluation.index_made import EVERYONE, NARROWINGS, make
from gateway.cli.bench import index
from gateway.cli.terminal.failure import Failed


def run(capsys: pytest.CaptureFixture[str], **asked: object) -> dict[str, Any]:
    index.index(**{"skills": 203, "engine": "edge", "questions": 10, "seed": 3, "as_json": True, **asked})  # type: ignore[arg-type]
    figures: dict[str, Any] = json.loads(capsys.readouterr().out)
    return figures


@pytest.mark.parametrize("engine", ["edge", "local"])
def test_a_small_index_is_exact_and_says_all_its_figures(capsys: pytest.CaptureFixture[str], engine: str):
    figures = run(capsys, engine=engine)
    assert figures["recall_at_10"] == 1.0
    assert (figures["skills"], figures["engine"], figures["seed"]) == (203, engine, 3)
    assert figures["rss_mb"] > figures["mapped_mb"] >= 0
    assert figures["build_s"] >= figures["fill_s"] > 0
    shares = [filtered["share"] for filtered in figures["filters"].values()]
    assert shares == sorted(shares, reverse=True)
    assert {filtered["recall_at_10"] for filtered in figures["filters"].values()} == {1.0}
    for latency in (
        *(figures[name] for name in ("latency_ms", "hybrid_ms", "replace_ms")),
        figures["filters"]["half"]["ms"],
    ):
        assert 0 < latency["p50"] <= latency["p99"]
    assert figures["changed_found_ms"] > 0


def test_a_filter_that_nobody_meets_has_no_recall(capsys: pytest.CaptureFixture[str]):
    filters = run(capsys, skills=10)["filters"]
    assert [(one["share"], one["recall_at_10"]) for one in filters.values()][::5] == [(1.0, 1.0), (0.0, None)]


def test_a_kept_index_is_used_again_as_it_was(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    first = run(capsys, folder=tmp_path, keep=True)
    again = run(capsys, folder=tmp_path, keep=True)
    assert (first["notes"], again["recall_at_10"]) == (["no graph: it is built from 10000 points on"], 1.0)
    assert "41 agents were left by an earlier run" in again["notes"][-1]
    assert {filtered["recall_at_10"] for filtered in again["filters"].values()} == {1.0}
    other = run(capsys, folder=tmp_path, keep=True, seed=4)
    assert (other["recall_at_10"], len(other["notes"])) == (1.0, 1)


def test_an_index_is_kept_only_where_it_is_said_and_where_it_can_be(tmp_path: Path):
    for engine, folder in (("edge", None), ("local", tmp_path)):
        with pytest.raises(typer.BadParameter, match="--folder"):
            index.index(skills=100, engine=engine, folder=folder, keep=True)


@pytest.mark.parametrize("keep", [False, True])
def test_a_folder_that_is_missing_is_made_and_one_that_cannot_be_used_is_said(capsys, tmp_path: Path, keep: bool):
    assert run(capsys, skills=10, folder=tmp_path / "new" / "one", keep=keep)["recall_at_10"] == 1.0
    (tmp_path / "file").touch()
    with pytest.raises(Failed, match=r"cannot lie in .*: not a directory"):
        run(capsys, skills=10, folder=tmp_path / "file" / "below", keep=keep)


def test_exact_search_is_what_sorting_all_skills_gives():
    made = make(20_300, 1, 3)
    asked = [EVERYONE, *NARROWINGS.values()]
    allowed = [narrowing.allowed(20_300) for narrowing in asked]
    for mask, rows in zip(allowed, nearest(made.vectors, made.questions, allowed, 10), strict=True):
        scores = np.where(mask, made.questions @ made.vectors.T, -2.0)
        assert [set(row) for row in rows] == [set(row) for row in np.argsort(-scores, axis=1)[:, :10]]


def test_an_unknown_engine_is_refused():
    with pytest.raises(typer.BadParameter, match="none of edge, local"):
        index.index(skills=100, engine="faiss", questions=10, seed=0, folder=None, as_json=True)


def test_the_same_seed_makes_the_same_skills():
    one, same, other = make(100, 1, 10), make(100, 1, 10), make(100, 2, 10)
    assert (one.vectors == same.vectors).all()
    assert (one.questions == same.questions).all()
    assert (one.words(7), one.asked) == (same.words(7), same.asked)
    assert not (one.vectors == other.vectors).all()

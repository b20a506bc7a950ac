"""``aos bench index`` on a small index: its figures, and that a seed repeats them."""

import json

import pytest
import typer

from agents.matching.evaluation.index_made import make
from gateway.cli import bench_index


@pytest.mark.parametrize("engine", ["edge", "local"])
def test_a_small_index_is_exact_and_says_all_its_figures(capsys: pytest.CaptureFixture[str], engine: str):
    bench_index.index(skills=203, engine=engine, questions=10, seed=3, folder=None, as_json=True)
    figures = json.loads(capsys.readouterr().out)
    assert (figures["recall_at_10"], figures["filtered_recall_at_10"]) == (1.0, 1.0)
    assert (figures["skills"], figures["engine"], figures["seed"]) == (203, engine, 3)
    assert figures["rss_mb"] > 0
    assert figures["build_s"] >= figures["fill_s"] > 0
    for name in ("latency_ms", "hybrid_ms", "filtered_ms", "replace_ms"):
        assert 0 < figures[name]["p50"] <= figures[name]["p99"]
    assert figures["changed_found_ms"] > 0


def test_an_unknown_engine_is_refused():
    with pytest.raises(typer.BadParameter, match="none of edge, local"):
        bench_index.index(skills=100, engine="faiss", questions=10, seed=0, folder=None, as_json=True)


def test_the_same_seed_makes_the_same_skills():
    one, same, other = make(100, 1, 10), make(100, 1, 10), make(100, 2, 10)
    assert (one.vectors == same.vectors).all()
    assert (one.questions == same.questions).all()
    assert (one.words(7), one.asked) == (same.words(7), same.asked)
    assert not (one.vectors == other.vectors).all()

"""The documentation's plots are redrawn from the committed results alone, and always the same."""

import sys
from pathlib import Path

import pytest

from benchmarks.plots import matching

RESULTS = Path(__file__).parents[5] / "benchmarks" / "results"


def drawn(monkeypatch: pytest.MonkeyPatch, results: Path, folder: Path) -> dict[str, bytes]:
    monkeypatch.setattr(sys, "argv", ["plots", "--results", str(results), "--plots", str(folder)])
    matching.main()
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_committed_results_suffice_and_give_the_same_plots_twice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    first = drawn(monkeypatch, RESULTS, tmp_path / "first")
    assert len(first) == len(matching.DRAWN)
    assert first == drawn(monkeypatch, RESULTS, tmp_path / "second")


def test_a_missing_result_says_where_to_read_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"docs/matching\.md"):
        drawn(monkeypatch, tmp_path, tmp_path / "plots")

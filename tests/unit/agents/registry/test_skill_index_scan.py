"""How many points a segment compares one by one is widened where the engine keeps it, and nowhere else."""

import json
from pathlib import Path

import pytest

from agents.registry.skill_index.scan import SCANNED_POINTS, SCANNED_SHARE, scanned_below, widen


def segment(shard: Path, content: str) -> Path:
    file = shard / "segments" / "one" / "vector_index" / "hnsw_config.json"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    return file


def test_a_large_index_compares_a_share_of_its_points_and_keeps_its_other_settings(tmp_path: Path):
    file = segment(tmp_path, '{"m": 16, "full_scan_threshold": 20000}')
    widen(tmp_path, 1_000_000)
    assert json.loads(file.read_text()) == {"m": 16, "full_scan_threshold": scanned_below(tmp_path)}
    assert scanned_below(tmp_path) == SCANNED_SHARE * 1_000_000


def test_a_small_index_compares_no_fewer_than_before(tmp_path: Path):
    segment(tmp_path, '{"full_scan_threshold": 20000}')
    widen(tmp_path, 50_000)
    assert scanned_below(tmp_path) == 20_000


@pytest.mark.parametrize("content", ["", "no json", "[]", "{}", '{"full_scan_threshold": "many"}'])
def test_a_file_of_another_form_is_left_as_it_is(tmp_path: Path, content: str):
    file = segment(tmp_path, content)
    widen(tmp_path, 1_000_000)
    assert (file.read_text(), scanned_below(tmp_path)) == (content, SCANNED_POINTS)


def test_a_shard_without_a_graph_has_nothing_to_widen(tmp_path: Path):
    widen(tmp_path, 1_000_000)
    assert scanned_below(tmp_path) == SCANNED_POINTS

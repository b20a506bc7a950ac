"""``aos train towers``: leaves weights, curve and figures, says what is missing, and goes on from its checkpoint."""

import json
from pathlib import Path

import pytest

from gateway.cli.main import build
from gateway.cli.terminal.failure import Failed
from tensor_layer.towers.familiarity import Familiarity
from tensor_layer.towers.serving import IMAGE_WEIGHTS
from tensor_layer.towers.voices import can_speak
from tensor_layer.towers.weights import SHIPPED


def run(*words: str) -> None:
    arguments = ["train", "towers", *words]
    build(arguments)(args=arguments, prog_name="aos", standalone_mode=False)


def test_a_quick_training_leaves_everything_and_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = (
        "--only",
        "fusion",
        "--quick",
        "--out",
        str(tmp_path / "out"),
        "--cache",
        str(tmp_path / "cache"),
        "--json",
    )
    run(*words)
    printed = capsys.readouterr()
    report = json.loads(printed.out)["fusion"]
    assert report["held_out"]["learned"]["cosine_meant"] > report["held_out"]["mean"]["cosine_meant"]
    assert "training fusion 20/20" in printed.err
    made = {file.name for file in (tmp_path / "out").iterdir()}
    assert made == {"fusion.safetensors", "fusion.csv", "fusion.svg", "fusion.json", "fusion.checkpoint"}
    run(*words, "--resume")
    assert json.loads(capsys.readouterr().out)["fusion"]["version"] == report["version"]


@pytest.mark.timeout(600)
@pytest.mark.skipif(not can_speak(), reason="espeak-ng is not installed")
def test_what_the_shipped_towers_know_is_fitted_and_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "out"
    run("--only", "familiarity", "--quick", "--out", str(out), "--cache", str(tmp_path / "cache"), "--json")

    report = json.loads(capsys.readouterr().out)["familiarity"]
    assert set(report) == {"image-tower", "audio-tower"}
    for figures in (each["held_out"] for each in report.values()):
        assert figures["held_out_kept"] > 75
        assert figures["strangers_caught"] > 50
    assert Familiarity.read(out / "image-familiarity.safetensors", SHIPPED / IMAGE_WEIGHTS).centres.shape[1] == 272


def test_without_espeak_the_audio_tower_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failed, match="apt-get install espeak-ng"):
        run("--only", "audio", "--quick", "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"))

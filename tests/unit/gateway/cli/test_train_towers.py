"""``aos train towers``: leaves weights, curve and figures, says what is missing, and goes on from its checkpoint."""

import json
from pathlib import Path

import pytest

from gateway.cli.failure import Failed
from gateway.cli.main import build


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


def test_without_espeak_the_audio_tower_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failed, match="apt-get install espeak-ng"):
        run("--only", "audio", "--quick", "--out", str(tmp_path / "out"), "--cache", str(tmp_path / "cache"))

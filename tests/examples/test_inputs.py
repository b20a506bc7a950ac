"""The committed inputs are what make_inputs.py makes, and small enough to carry."""

import importlib.util
from pathlib import Path

import pytest
from conftest import INPUTS

RANDOM_OR_FOREIGN = {"encrypted.pdf", "speech.wav"}  # random keys; made by espeak-ng, which tests do not need
COMPRESSED = {".png", ".jpg", ".pdf", ".docx"}  # the same content may be packed differently by another zlib


def test_the_inputs_are_made_again_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = importlib.util.spec_from_file_location("make_inputs", INPUTS / "make_inputs.py")
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    monkeypatch.setattr(maker, "HERE", tmp_path)
    monkeypatch.setattr(maker, "BAD", tmp_path / "bad")
    monkeypatch.setattr(maker.shutil, "which", lambda _name: None)
    maker.main()
    made = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    kept = {path.relative_to(INPUTS) for path in INPUTS.rglob("*.*") if path.suffix not in (".py", ".pyc")}
    assert kept - made == {Path("speech.wav")}
    for name in made:
        if name.name not in RANDOM_OR_FOREIGN and name.suffix not in COMPRESSED and "damaged" not in name.name:
            assert (tmp_path / name).read_bytes() == (INPUTS / name).read_bytes(), name


def test_the_inputs_are_small():
    assert sum(path.stat().st_size for path in INPUTS.rglob("*") if path.is_file()) < 3_000_000

"""``aos tensor`` as people and scripts use it: ids out, files back bit for bit, exit codes that tell."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.cli.bench import tensor
from gateway.cli.main import main

RNG = np.random.default_rng(5)


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AOS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def aos(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json"])
    out = capsys.readouterr()
    said = out.out or out.err
    return int(ended.value.code or 0), json.loads(said) if said else None


def test_what_is_put_is_got_back_bit_for_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    weights = (RNG.standard_normal((300, 200)) * 0.02).astype(np.float32)
    np.save("weights.npy", weights)

    code, (stored,) = aos(capsys, "tensor", "put", "weights.npy")
    got, _ = aos(capsys, "tensor", "get", stored["tensor_id"], "--out", "back.npy")

    assert (code, got) == (0, 0)
    assert stored["ratio"] > 1.15
    assert np.load("back.npy").tobytes() == weights.tobytes()


def test_a_second_checkpoint_is_stored_as_the_difference(capsys: pytest.CaptureFixture[str]):
    before = RNG.standard_normal(200_000).astype(np.float32)
    after = before.copy()
    after[::500] += 1
    np.save("before.npy", before)
    np.save("after.npy", after)
    _, (first,) = aos(capsys, "tensor", "put", "before.npy")

    _, (second,) = aos(capsys, "tensor", "put", "after.npy", "--reference", first["tensor_id"])

    assert second["reference"] == first["tensor_id"]
    assert second["ratio"] > 8


def test_rounding_happens_only_when_asked_and_is_told(capsys: pytest.CaptureFixture[str]):
    np.save("x.npy", RNG.standard_normal(10_000).astype(np.float32))

    _, (exact,) = aos(capsys, "tensor", "put", "x.npy")
    _, (rounded,) = aos(capsys, "tensor", "put", "x.npy", "--lossy", "int8")
    _, told = aos(capsys, "tensor", "stat")

    assert exact["lossy"] is None
    assert rounded["lossy"] == "int8"
    assert {one["tensor_id"] for one in told["tensors"]} == {exact["tensor_id"], rounded["tensor_id"]}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["tensor", "get", "0" * 64, "--out", "x.npy"], 4),
        (["tensor", "stat", "0" * 64], 4),
        (["tensor", "get", "../x", "--out", "x.npy"], 2),
        (["tensor", "get", "0" * 64, "--out", "nowhere/x.npy"], 2),
        (["tensor", "get", "0" * 64, "--out", "x.txt"], 2),
        (["tensor", "put", "missing.npy"], 2),
        (["tensor", "put", "objects.npy"], 2),
        (["tensor", "put", "plain.npy", "--lossy", "zip"], 2),
        (["tensor", "put", "plain.npy", "--reference", "f" * 64], 4),
    ],
)
def test_refusals_say_why(capsys: pytest.CaptureFixture[str], words: list[str], code: int):
    np.save("objects.npy", np.array([{}], dtype=object))
    np.save("plain.npy", np.zeros(5, np.float32))

    ended, problem = aos(capsys, *words)

    assert ended == code
    assert problem["title"]


def test_a_damaged_tensor_is_named_and_does_not_hide_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name in ("kept", "spoilt"):
        np.save(f"{name}.npy", RNG.standard_normal(200))
    _, (kept,) = aos(capsys, "tensor", "put", "kept.npy")
    _, (spoilt,) = aos(capsys, "tensor", "put", "spoilt.npy")
    (tmp_path / "data" / "tensors" / "packed" / f"{spoilt['tensor_id']}.aost").write_bytes(b"AOST")

    code, told = aos(capsys, "tensor", "stat")
    failed, problem = aos(capsys, "tensor", "get", spoilt["tensor_id"], "--out", "x.npy")

    assert (code, failed) == (0, 1)
    assert [one["tensor_id"] for one in told["tensors"]] == [kept["tensor_id"]]
    assert list(told["damaged"]) == [spoilt["tensor_id"]]
    assert spoilt["tensor_id"] in problem["title"]
    assert "put" in problem["next_step"]


def test_a_data_folder_that_cannot_be_made_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AOS_DATA_DIR", "/proc/nowhere")

    code, problem = aos(capsys, "tensor", "stat")

    assert code == 1
    assert "/proc/nowhere" in problem["title"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_bench_meets_the_bars_that_do_not_depend_on_the_machine(capsys: pytest.CaptureFixture[str]):
    tensor.tensor(share=12, megabytes=20, trace=None, as_json=True)
    figures = json.loads(capsys.readouterr().out)

    ratios = {(one["what"], one["how"]): one["ratio"] for one in figures["packing"]}
    assert ratios["bf16 weights", "streaming"] >= 1.44
    assert ratios["bf16 weights", "cold"] >= 1.50
    assert ratios["fp32 weights", "streaming"] >= 1.20
    assert ratios["fp32 weights", "cold"] >= 1.21
    assert figures["adaptive"]["adaptive cold"]["against"]["smallest"]["size_share"] <= 1.03
    assert figures["cyclic_loop"]["hit_share"] >= 0.97
    assert max(
        figures["passing"]["receiver_own_memory_peak_bytes"][way] for way in ("in place", "handed over once")
    ) < (5_000_000)

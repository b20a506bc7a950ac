"""Arrow, safetensors and .npy in and out, and the files that are refused."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from tensor_layer.errors import TensorRefused
from tensor_layer.stream.interchange import from_arrow, read, to_arrow, write
from tensor_layer.stream.tensor import from_numpy

NAMED = {
    "weights": from_numpy(np.random.default_rng(1).standard_normal((5, 7)).astype(np.float32)),
    "halves": from_numpy(np.arange(6, dtype=np.uint16).reshape(2, 3), "bfloat16"),
    "one": from_numpy(np.array(3, np.int64)),
    "none": from_numpy(np.zeros((0, 2), np.float64)),
    "flags": from_numpy(np.array([True, False])),
}


@pytest.mark.parametrize("suffix", [".safetensors", ".arrow"])
@pytest.mark.parametrize("names", [list(NAMED), ["weights", "one", "flags"], []], ids=["all", "no bfloat16", "nothing"])
def test_named_tensors_come_back(tmp_path: Path, suffix: str, names: list[str]):
    path = tmp_path / f"file{suffix}"
    write(path, ((name, NAMED[name]) for name in names))

    back = dict(read(path))

    assert {name: tensor.tensor_id for name, tensor in back.items()} == {n: NAMED[n].tensor_id for n in names}


def test_npy_comes_back_whatever_its_order(tmp_path: Path):
    np.save(tmp_path / "odd.npy", np.asfortranarray(NAMED["weights"].array.astype(">f4")))

    ((name, tensor),) = read(tmp_path / "odd.npy")
    write(tmp_path / "plain.npy", [(name, tensor)])

    assert name == "odd"
    assert tensor.tensor_id == NAMED["weights"].tensor_id
    assert np.load(tmp_path / "plain.npy").tobytes() == NAMED["weights"].array.tobytes()


def test_files_of_the_safetensors_library_are_read(tmp_path: Path):
    original = torch.randn(4, 4).to(torch.bfloat16)
    safetensors.torch.save_file({"layer.0": original}, tmp_path / "model.safetensors")

    ((name, tensor),) = read(tmp_path / "model.safetensors")

    assert (name, tensor.dtype, tensor.shape) == ("layer.0", "bfloat16", (4, 4))
    assert tensor.array.tobytes() == original.view(torch.int16).numpy().tobytes()


def test_arrow_values_are_views():
    array = NAMED["weights"].array

    table = to_arrow([("weights", NAMED["weights"])])
    ((_, back),) = from_arrow(table)

    assert np.shares_memory(back.array, array)


def test_pickles_are_refused(tmp_path: Path):
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(np.ones(3)))
    torch.save({"a": torch.ones(2)}, tmp_path / "model.pt")

    for name in ("objects.npy", "pickle.npy", "model.pt"):
        with pytest.raises(TensorRefused):
            list(read(tmp_path / name))


@pytest.mark.parametrize("suffix", [".npy", ".safetensors", ".arrow"])
@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01\x00", b"\xff" * 500])
def test_files_that_are_not_what_they_claim_are_refused(tmp_path: Path, suffix: str, content: bytes):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)

    with pytest.raises(TensorRefused):
        list(read(path))


def test_a_truncated_safetensors_file_is_refused(tmp_path: Path):
    path = tmp_path / "cut.safetensors"
    write(path, [("weights", NAMED["weights"])])
    path.write_bytes(path.read_bytes()[:-10])

    with pytest.raises(TensorRefused):
        list(read(path))


def test_what_a_format_cannot_say_is_refused(tmp_path: Path):
    with pytest.raises(TensorRefused, match="one tensor"):
        write(tmp_path / "two.npy", NAMED.items())
    with pytest.raises(TensorRefused, match="bfloat16"):
        write(tmp_path / "half.npy", [("halves", NAMED["halves"])])
    with pytest.raises(TensorRefused, match="safetensors"):
        write(tmp_path / "file.txt", NAMED.items())
    with pytest.raises(TensorRefused, match="no file"):
        list(read(tmp_path / "missing.npy"))

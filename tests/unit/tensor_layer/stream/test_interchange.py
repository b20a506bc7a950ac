"""Arrow, safetensors and .npy in and out, and the files that are refused."""

import contextlib
import os
import pickle
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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
    torch.save({"a": torch.ones(2)}, tmp_path / "archive.npy")

    for name, why in (
        ("objects.npy", "Python objects"),
        ("pickle.npy", "no plain .npy"),
        ("model.pt", "a pickle, which is a program"),
        ("archive.npy", "no plain .npy"),
    ):
        with pytest.raises(TensorRefused, match=why) as refused:
            list(read(tmp_path / name))
        assert "allow_pickle" not in str(refused.value)


@pytest.mark.parametrize("suffix", [".npy", ".safetensors", ".arrow"])
@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_an_altered_file_gives_a_tensor_or_is_refused(suffix: str, data: st.DataObject):
    """These formats have no sums: values may change unseen, but nothing else may happen."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"file{suffix}"
        write(path, [("weights", NAMED["weights"])])
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 5))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(len(content) // 2, len(content)))])

        with contextlib.suppress(TensorRefused):
            for _, tensor in read(path):
                assert len(tensor.tensor_id) <= 64


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


@pytest.mark.parametrize("suffix", [".npy", ".safetensors", ".arrow"])
def test_a_file_appears_whole_or_not_at_all(tmp_path: Path, suffix: str):
    out, plain = tmp_path / f"link{suffix}", tmp_path / f"plain{suffix}"
    plain.write_bytes(b"before")
    out.symlink_to(plain)

    def breaks():
        yield "weights", NAMED["weights"]
        raise TensorRefused("its source is gone")

    with pytest.raises(TensorRefused, match="gone"):
        write(out, breaks())
    assert plain.read_bytes() == b"before"
    write(out, [("weights", NAMED["weights"])])

    assert out.is_symlink()
    assert [tensor.tensor_id for _, tensor in read(plain)] == [NAMED["weights"].tensor_id]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted((out.name, plain.name))


def test_where_nothing_can_be_written_is_told(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.npy")

    with pytest.raises(TensorRefused, match="no ordinary file"):
        write(tmp_path / "pipe.npy", [])
    with pytest.raises(TensorRefused, match="there is no folder"):
        write(tmp_path / "none" / "x.npy", [])
    with pytest.raises(TensorRefused, match="cannot be written"):
        write(Path("/proc/x.arrow"), [])

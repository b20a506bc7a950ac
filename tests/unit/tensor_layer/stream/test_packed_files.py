"""Packed files: checkpoints as deltas, bounded chains, damage, rounding under an id of its own."""

import os
from pathlib import Path

import numpy as np
import pytest

from tensor_layer.errors import TensorDamaged, TensorNotFound
from tensor_layer.stream.packed_files import CHAIN_MAX, PackedFiles
from tensor_layer.stream.tensor import Tensor, from_numpy


def checkpoint(step: int) -> Tensor:
    words = np.random.default_rng(0).integers(0x3C00, 0x3D00, 50_000).astype(np.uint16)
    words[step::97] ^= 1
    return from_numpy(words, "bfloat16")


def test_a_series_of_checkpoints_is_stored_as_deltas_with_short_chains(tmp_path: Path):
    files, last = PackedFiles(tmp_path), None
    facts = []
    for step in range(CHAIN_MAX + 4):
        facts.append(files.write(checkpoint(step), reference=last))
        last = facts[-1].tensor_id

    assert [fact.reference is None for fact in facts].count(True) == 2
    assert facts[1].packed_bytes * 5 < facts[0].packed_bytes
    for step, fact in enumerate(facts):
        assert files.read(fact.tensor_id).tensor_id == checkpoint(step).tensor_id


def test_a_delta_whose_reference_is_gone_is_not_found(tmp_path: Path):
    files = PackedFiles(tmp_path)
    first = files.write(checkpoint(0))
    second = files.write(checkpoint(1), reference=first.tensor_id)
    (tmp_path / f"{first.tensor_id}.aost").unlink()

    with pytest.raises(TensorNotFound, match=f"{second.tensor_id} .* difference .*{first.tensor_id}"):
        files.read(second.tensor_id)
    assert files.facts(second.tensor_id).reference == first.tensor_id


def test_a_rounded_tensor_has_the_id_of_what_reading_gives(tmp_path: Path):
    files, exact = PackedFiles(tmp_path), from_numpy(np.random.default_rng(1).standard_normal(9000).astype(np.float32))
    fact = files.write(exact, lossy="bf16")

    assert fact.lossy == "bf16"
    assert fact.tensor_id != exact.tensor_id
    assert files.read(fact.tensor_id).tensor_id == fact.tensor_id


@pytest.mark.parametrize("length", [0, 50, 5000])
def test_a_cut_file_is_damaged(tmp_path: Path, length: int):
    files = PackedFiles(tmp_path)
    fact = files.write(checkpoint(0))
    path = tmp_path / f"{fact.tensor_id}.aost"
    path.write_bytes(path.read_bytes()[:length])

    with pytest.raises(TensorDamaged, match=fact.tensor_id):
        files.read(fact.tensor_id)


def test_a_file_under_another_name_is_damaged(tmp_path: Path):
    files = PackedFiles(tmp_path)
    fact = files.write(checkpoint(0))
    (tmp_path / f"{fact.tensor_id}.aost").rename(tmp_path / f"{'a' * 64}.aost")

    with pytest.raises(TensorDamaged, match="another tensor"):
        files.read("a" * 64)


def test_what_a_killed_writer_left_goes_once_nobody_can_be_writing_it(tmp_path: Path):
    files = PackedFiles(tmp_path)
    dead, alive = tmp_path / "a.unfinished", tmp_path / "b.unfinished"
    for path in (dead, alive):
        path.write_bytes(b"AOST")
    os.utime(dead, (0, 0))

    files.write(checkpoint(0))

    assert not dead.exists()
    assert alive.exists()

"""One behaviour for every place that keeps tensors by id: mapped files, packed files, the two-level cache."""

import asyncio
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import pytest

from tensor_layer.stream.cache import TensorCache
from tensor_layer.stream.mapped_files import MappedFiles
from tensor_layer.stream.packed_files import PackedFiles
from tensor_layer.stream.tensor import STORED_AS, Tensor, from_numpy


class Store(Protocol):
    def put(self, tensor: Tensor) -> object: ...

    def get(self, tensor_id: str) -> Tensor | None: ...


class Packed:
    def __init__(self, folder: Path) -> None:
        self.files = PackedFiles(folder)

    def put(self, tensor: Tensor) -> object:
        return self.files.write(tensor)

    def get(self, tensor_id: str) -> Tensor | None:
        return self.files.read(tensor_id) if tensor_id in set(self.files.ids()) else None


OPENERS: dict[str, Callable[[Path], Store]] = {
    "mapped files": lambda folder: MappedFiles(folder, 64 << 20),
    "packed files": Packed,
    "cache": lambda folder: TensorCache(1 << 20, MappedFiles(folder, 64 << 20)),
}
each_store = pytest.mark.parametrize("opener", list(OPENERS))


def numbers(seed: int, count: int = 40_000) -> Tensor:
    return from_numpy(np.random.default_rng(seed).standard_normal(count).astype(np.float32))


@each_store
@pytest.mark.parametrize("dtype", list(STORED_AS))
def test_every_dtype_comes_back_bit_for_bit(tmp_path: Path, opener: str, dtype):
    stored = np.dtype(STORED_AS[dtype])
    words = np.random.default_rng(1).integers(0, 2 if dtype == "bool" else 256, 90_000 * stored.itemsize, np.uint8)
    tensor = from_numpy(words.view(stored).reshape(300, 300), dtype)
    store = OPENERS[opener](tmp_path)
    store.put(tensor)

    back = store.get(tensor.tensor_id)

    assert back is not None
    assert (back.dtype, back.shape, back.tensor_id) == (tensor.dtype, tensor.shape, tensor.tensor_id)
    assert back.array.tobytes() == tensor.array.tobytes()


@each_store
def test_the_same_tensor_twice_is_one(tmp_path: Path, opener: str):
    store = OPENERS[opener](tmp_path)
    store.put(numbers(1))
    store.put(numbers(1))

    assert len([path for path in tmp_path.iterdir() if path.suffix in (".tensor", ".aost")]) == 1


@each_store
def test_what_is_not_there_is_not_there(tmp_path: Path, opener: str):
    assert OPENERS[opener](tmp_path).get("f" * 64) is None


@each_store
def test_another_opening_of_the_same_folder_has_it(tmp_path: Path, opener: str):
    OPENERS[opener](tmp_path).put(numbers(2))

    back = OPENERS[opener](tmp_path).get(numbers(2).tensor_id)

    assert back is not None
    assert back.array.tobytes() == numbers(2).array.tobytes()


def _hammer(opener: str, folder: Path, seed: int, failures: "multiprocessing.Queue[str]") -> None:
    rng, store = np.random.default_rng(seed), OPENERS[opener](folder)
    for _ in range(25):
        tensor = numbers(int(rng.integers(0, 6)))
        store.put(tensor)
        back = store.get(tensor.tensor_id)
        if back is None or back.array.tobytes() != tensor.array.tobytes():
            failures.put(f"process {seed} read something else")


@each_store
def test_many_processes_write_and_read_the_same_tensors_at_once(tmp_path: Path, opener: str):
    context = multiprocessing.get_context("spawn")
    failures: multiprocessing.Queue[str] = context.Queue()
    workers = [context.Process(target=_hammer, args=(opener, tmp_path, seed, failures)) for seed in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)

    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert failures.empty()


@each_store
async def test_threads_of_one_process_share_a_store(tmp_path: Path, opener: str):
    store = OPENERS[opener](tmp_path)
    tensors = [numbers(seed, 20_000) for seed in range(4)]

    def turn(number: int) -> bool:
        store.put(tensors[number % 4])
        back = store.get(tensors[number % 4].tensor_id)
        return back is not None and back.array.tobytes() == tensors[number % 4].array.tobytes()

    assert all(await asyncio.gather(*(asyncio.to_thread(turn, number) for number in range(16))))

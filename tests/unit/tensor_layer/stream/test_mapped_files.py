"""The folder of mapped tensors: whole or absent, bounded, across restarts, crashes and torn writes."""

import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tensor_layer.errors import TensorRefused
from tensor_layer.stream.cache import TensorCache
from tensor_layer.stream.mapped_files import VALUES_AT, MappedFiles
from tensor_layer.stream.tensor import CONTENT_ID, Tensor, from_numpy, to_torch

PAGE = 4096


def numbers(seed: int, count: int = 50_000) -> Tensor:
    return from_numpy(np.random.default_rng(seed).standard_normal(count).astype(np.float32))


@pytest.mark.parametrize("array", [np.zeros((0, 4)), np.array(7.5), np.ones((3, 1, 2), bool)])
def test_every_shape_comes_back(tmp_path: Path, array: np.ndarray):
    files = MappedFiles(tmp_path, 1 << 20)
    tensor = from_numpy(array)
    files.put(tensor)

    back = files.get(tensor.tensor_id)

    assert back is not None
    assert back.shape == tensor.shape
    assert back.tensor_id == tensor.tensor_id
    assert back.array.tobytes() == tensor.array.tobytes()


def test_what_is_handed_out_cannot_change_the_file(tmp_path: Path):
    files, tensor = MappedFiles(tmp_path, 1 << 20), numbers(1)
    view = files.put(tensor)

    with pytest.raises(ValueError, match="read-only"):
        view.array[0] = 1
    to_torch(view)[0] = 12345  # torch knows no read-only memory: the write stays in this process

    again = MappedFiles(tmp_path, 1 << 20, boot="another").get(tensor.tensor_id)
    assert again is not None
    assert again.array.tobytes() == tensor.array.tobytes()


def test_it_is_all_there_after_a_restart(tmp_path: Path):
    tensor = numbers(2)
    MappedFiles(tmp_path, 1 << 20).put(tensor)

    back = MappedFiles(tmp_path, 1 << 20, boot="the next boot").get(tensor.tensor_id)

    assert back is not None
    assert back.array.tobytes() == tensor.array.tobytes()


@pytest.mark.parametrize("where", [3, 20, VALUES_AT, VALUES_AT + 199_999])
def test_a_torn_write_is_found_after_the_power_failure_and_the_file_goes(tmp_path: Path, where: int):
    tensor = numbers(3)
    MappedFiles(tmp_path, 1 << 20, boot="before").put(tensor)
    path = tmp_path / f"{tensor.tensor_id}.tensor"
    with path.open("r+b") as file:
        file.seek(where)
        byte = file.read(1)
        file.seek(where)
        file.write(bytes([byte[0] ^ 0xFF]))

    assert MappedFiles(tmp_path, 1 << 20, boot="after").get(tensor.tensor_id) is None
    assert not path.exists()


@pytest.mark.parametrize("length", [0, 100, VALUES_AT, VALUES_AT + 5000])
def test_a_file_cut_short_is_absent(tmp_path: Path, length: int):
    files, tensor = MappedFiles(tmp_path, 1 << 20), numbers(4)
    files.put(tensor)
    os.truncate(tmp_path / f"{tensor.tensor_id}.tensor", length)

    assert MappedFiles(tmp_path, 1 << 20).get(tensor.tensor_id) is None


def test_the_folder_stays_within_its_bound(tmp_path: Path):
    bound = 5 * (200_000 + PAGE)
    files = MappedFiles(tmp_path, bound)
    for seed in range(20):
        files.put(numbers(seed))
        assert sum(path.stat().st_size for path in tmp_path.glob("*.tensor")) <= bound

    assert len(files.ids()) == 5


def test_a_name_for_one_handover_is_not_taken_for_one_of_content(tmp_path: Path):
    files, tensor = MappedFiles(tmp_path, 1 << 20), numbers(1)

    assert files.put(tensor).tensor_id.startswith(CONTENT_ID)
    assert not files.put_once(tensor).tensor_id.startswith(CONTENT_ID)


def test_a_mapped_tensor_outlives_its_eviction(tmp_path: Path):
    files = MappedFiles(tmp_path, 210_000)
    first = files.put(numbers(1))
    files.put(numbers(2))

    assert files.get(first.tensor_id) is None
    assert first.array.tobytes() == numbers(1).array.tobytes()


def test_what_another_process_uses_is_evicted_later(tmp_path: Path):
    bound = 3 * (200_000 + PAGE)
    mine, theirs = MappedFiles(tmp_path, bound), MappedFiles(tmp_path, bound)
    tensors = [mine.put(numbers(seed)) for seed in range(3)]
    assert theirs.get(tensors[0].tensor_id) is not None

    mine.put(numbers(9))

    assert tensors[0].tensor_id in mine.ids()
    assert len(mine.ids()) == 3


def test_two_processes_share_one_bound(tmp_path: Path):
    bound = 4 * (200_000 + PAGE)
    folders = [MappedFiles(tmp_path, bound) for _ in range(2)]
    for seed in range(10):
        folders[seed % 2].put(numbers(seed))

    assert folders[0].stat()["used_bytes"] <= bound
    assert len(folders[0].ids()) == 4


def test_values_written_in_place_are_sealed_without_a_copy(tmp_path: Path):
    files = MappedFiles(tmp_path, 1 << 20)
    with files.draft("float32", (100, 500)) as draft:
        draft.array[...] = 3
        tensor = draft.seal()

    assert tensor.tensor_id == from_numpy(np.full((100, 500), 3, np.float32)).tensor_id
    assert files.get(tensor.tensor_id) is not None


def test_an_unsealed_draft_leaves_nothing(tmp_path: Path):
    files = MappedFiles(tmp_path, 1 << 20)
    with files.draft("float32", (100,)) as draft:
        draft.array[...] = 3

    assert files.stat()["files"] == 0
    assert not list(tmp_path.glob("*.unfinished"))


def test_a_writer_killed_half_way_leaves_its_room_to_others(tmp_path: Path):
    script = (
        "import os, signal, sys, pathlib; from tensor_layer.stream.mapped_files import MappedFiles\n"
        "files = MappedFiles(pathlib.Path(sys.argv[1]), 1 << 20)\n"
        "with files.draft('float32', (200_000,)) as draft:\n"
        "    draft.array[:1000] = 1\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert list(tmp_path.glob("*.unfinished"))

    files = MappedFiles(tmp_path, 1 << 20)
    files.put(numbers(1, 200_000))

    assert not list(tmp_path.glob("*.unfinished"))
    assert len(files.ids()) == 1


def test_an_id_cannot_name_another_folder(tmp_path: Path):
    with pytest.raises(TensorRefused):
        MappedFiles(tmp_path, 1 << 20).get("../../etc/passwd")


def test_a_tensor_larger_than_the_folder_is_refused_and_not_kept_by_the_cache(tmp_path: Path):
    files = MappedFiles(tmp_path, 100_000)
    with pytest.raises(TensorRefused, match="do not fit"):
        files.put(numbers(1))

    assert TensorCache(1 << 20, files).put(numbers(1)).size_bytes == 200_000


def test_the_cache_finds_in_files_what_memory_let_go(tmp_path: Path):
    cache = TensorCache(250_000, MappedFiles(tmp_path, 1 << 20))
    tensors = [numbers(seed) for seed in range(3)]
    for tensor in tensors:
        cache.put(tensor)

    assert all(cache.get(tensor.tensor_id) is not None for tensor in tensors)
    assert cache.counts().file_hits >= 2
    assert cache.counts().memory_bytes <= 250_000
    assert cache.get("0" * 64) is None


def test_where_the_boot_is_unknown_every_file_is_proved(tmp_path: Path):
    files, tensor = MappedFiles(tmp_path, 1 << 20, boot=""), numbers(1)
    files.put(tensor)
    assert files.get(tensor.tensor_id) is not None
    path = tmp_path / f"{tensor.tensor_id}.tensor"
    with path.open("r+b") as file:
        file.seek(VALUES_AT + 5)
        file.write(b"?")
    assert files.get(tensor.tensor_id) is None
    assert not path.exists()


def test_files_that_go_while_they_are_counted_are_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Who has read a handover drops it, and who is done with a draft removes it, without waiting for the lock."""
    other, listing = MappedFiles(tmp_path, 1 << 20), os.scandir

    @contextmanager
    def gone_once_listed(folder):
        with listing(folder) as entries:
            found = list(entries)
        for entry in found:
            if entry.name != ".lock":
                os.unlink(entry)
        yield iter(found)

    other.put_once(numbers(1))
    with other.draft("float32", (1000,)):
        monkeypatch.setattr(os, "scandir", gone_once_listed)
        fresh = MappedFiles(tmp_path, 1 << 20)
        assert fresh.stat()["files"] == 0


def test_room_of_a_draft_counts_until_it_is_sealed_or_thrown_away(tmp_path: Path):
    kept, wanted = numbers(1, 10_000), numbers(2, 10_000)
    files = MappedFiles(tmp_path, 3 * (kept.size_bytes + VALUES_AT))
    files.put(kept)
    with files.draft("float32", (10_000,)):
        files.put(wanted)
        assert files.ids() == sorted([kept.tensor_id, wanted.tensor_id])
        files.put(numbers(3, 10_000))
        assert len(files.ids()) == 2
    files.put(numbers(4, 10_000))
    assert len(files.ids()) == 3

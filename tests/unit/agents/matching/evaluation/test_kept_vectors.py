"""A text is encoded once, whoever asks and however often the command runs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from agents.matching.evaluation.vector_cache import VectorCache


class Encoder:
    def __init__(self) -> None:
        self.asked: list[str] = []

    async def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.asked += texts
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "vectors.sqlite"


async def test_each_text_is_encoded_once_and_rows_keep_their_order(file: Path):
    encoder = Encoder()
    vectors = await VectorCache(file, encoder.encode, 2).encode(["ccc", "a", "ccc", "bb"])
    assert vectors[:, 0].tolist() == [3, 1, 3, 2]
    assert sorted(encoder.asked) == ["a", "bb", "ccc"]


async def test_the_next_run_encodes_only_what_is_new(file: Path):
    await VectorCache(file, Encoder().encode, 2).encode(["a", "bb"])
    encoder = Encoder()
    vectors = await VectorCache(file, encoder.encode, 2).encode(["bb", "dddd"])
    assert encoder.asked == ["dddd"]
    assert vectors[:, 0].tolist() == [2, 4]


async def test_progress_is_told_to_the_end(file: Path):
    told: list[tuple[int, int]] = []
    texts = ["x" * number for number in range(1, 600)]
    await VectorCache(file, Encoder().encode, 2).encode(texts, lambda done, total: told.append((done, total)))
    assert told[0] == (0, 599)
    assert told[-1] == (599, 599)
    assert len(told) == 4


@pytest.fixture
def broken(file: Path) -> Path:
    file.parent.mkdir()
    file.write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    return file


async def test_a_broken_file_is_thrown_away(broken: Path):
    assert (await VectorCache(broken, Encoder().encode, 2).encode(["a"]))[0, 0] == 1
    encoder = Encoder()
    await VectorCache(broken, encoder.encode, 2).encode(["a"])
    assert encoder.asked == []


@pytest.fixture(params=["a folder where the file should lie", "a file where the folder should lie"])
def blocked(request: pytest.FixtureRequest, file: Path) -> Path:
    if request.param.startswith("a folder"):
        file.mkdir(parents=True)
    else:
        file.parent.write_text("in the way")
    return file


async def test_where_nothing_can_be_kept_it_is_said_once_and_the_vectors_come(
    blocked: Path, caplog: pytest.LogCaptureFixture
):
    texts = ["x" * number for number in range(1, 600)]
    vectors = await VectorCache(blocked, Encoder().encode, 2).encode(texts)
    assert vectors[:, 0].tolist() == list(range(1, 600))
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["vectors are not kept for the next run"]


async def test_no_texts_are_no_vectors(file: Path):
    assert (await VectorCache(file, Encoder().encode, 2).encode([])).shape == (0, 2)

"""Whole numbers in the room that their values need: narrowed, stepped, byte by byte, and back to the bit."""

import numpy as np
import pytest

from schemas.tensor import DType
from tensor_layer.errors import TensorDamaged
from tensor_layer.stream import codecs
from tensor_layer.stream.reader import unpack
from tensor_layer.stream.tensor import from_numpy
from tensor_layer.stream.writer import Tally, pack

RNG = np.random.default_rng(7)


@pytest.mark.parametrize(
    "values",
    [
        np.cumsum(RNG.integers(0, 2000, 150_000)),
        np.where(RNG.random(150_000) < 0.5, -100, RNG.integers(0, 30_000, 150_000)),
        np.arange(150_000)[::-1],
        np.array([np.iinfo(np.int64).min, np.iinfo(np.int64).max] * 50_000),
        np.concatenate([np.arange(140_000), RNG.integers(-(2**63), 2**63, 10_000, np.int64)]),
    ],
    ids=["rising", "labels", "falling", "extremes", "at first rising"],
)
@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32", "uint32", "int16", "uint16"])
@pytest.mark.parametrize("codec", [codecs.NARROW, codecs.COLUMNS], ids=lambda codec: codec.name)
def test_whole_numbers_come_back_from_narrow_words(codec: codecs.Codec, values: np.ndarray, dtype: DType):
    words = values.astype(dtype).view(f"<u{np.dtype(dtype).itemsize}")
    into = np.empty_like(words)

    codec.decode(memoryview(codec.encode(words, dtype)), into, dtype)

    assert into.tobytes() == words.tobytes()


def test_ids_take_the_room_of_their_values_not_of_their_words():
    ids, tally = RNG.integers(0, 30_000, 300_000).astype(np.int64), Tally()
    packed = b"".join(pack(from_numpy(ids), tally=tally))

    assert unpack([packed]).array.tobytes() == ids.tobytes()
    assert set(tally.chunks_by_codec) == {"columns"}
    assert tally.ratio > 3.9


def test_numbers_whose_phrases_repeat_are_left_to_the_codec_that_finds_them():
    phrases, tally = RNG.integers(0, 30_000, (100, 12)), Tally()
    said = phrases[RNG.integers(0, 100, 25_000)].reshape(-1).astype(np.int32)
    packed = b"".join(pack(from_numpy(said), tally=tally))

    assert unpack([packed]).array.tobytes() == said.tobytes()
    assert set(tally.chunks_by_codec) == {"narrow"}
    assert tally.ratio > 12


def test_a_smooth_signal_is_stored_by_its_steps():
    time_s = np.arange(1 << 20) / 16_000
    sound, tally = (9000 * np.sin(2 * np.pi * 90 * time_s + np.sin(9 * time_s))).astype(np.int16), Tally()
    noisy = sound + RNG.integers(-60, 60, sound.size, np.int16)
    packed = b"".join(pack(from_numpy(noisy), tally=tally))

    assert unpack([packed]).array.tobytes() == noisy.tobytes()
    assert set(tally.chunks_by_codec) == {"columns"}
    assert tally.ratio > 1.4


@pytest.mark.parametrize("codec", [codecs.NARROW, codecs.COLUMNS], ids=lambda codec: codec.name)
def test_steps_of_nothing_are_damaged(codec: codecs.Codec):
    rising = np.arange(1000, dtype="<u4")

    with pytest.raises(TensorDamaged):
        codec.decode(memoryview(codec.encode(rising, "int32")), rising[:0], "int32")

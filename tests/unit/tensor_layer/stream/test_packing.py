"""Packing a tensor into frames and back: every codec, every dtype, every shape, in order and by parts."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from schemas.tensor import DType
from tensor_layer.errors import TensorRefused
from tensor_layer.stream import codecs, exponents, lossy
from tensor_layer.stream.choice import COLD, STREAMING, TRUSTED_CHUNKS, Budget
from tensor_layer.stream.reader import InMemory, PackedTensor, unpack
from tensor_layer.stream.tensor import STORED_AS, Tensor, from_numpy
from tensor_layer.stream.writer import Tally, pack, pack_bytes

RNG = np.random.default_rng(7)


def weights(count: int = 300_000) -> Tensor:
    return from_numpy((RNG.standard_normal(count) * 0.02).astype(np.float32))


def bf16(tensor: Tensor) -> Tensor:
    return from_numpy(lossy.to_bf16(tensor.array.reshape(-1)), "bfloat16")


def any_words(dtype: DType) -> st.SearchStrategy[Any]:
    size = np.dtype(STORED_AS[dtype]).itemsize
    return hnp.arrays(f"<u{size}", st.integers(1, 3000), fill=st.integers(0, 2 ** (8 * size) - 1))


@pytest.mark.parametrize("dtype", [d for d in STORED_AS if d != "bool"])
@pytest.mark.parametrize("codec", codecs.CODECS, ids=lambda codec: codec.name)
@given(data=st.data())
@settings(max_examples=15, deadline=None)
def test_a_codec_gives_back_every_bit(codec: codecs.Codec, dtype: DType, data: st.DataObject):
    if not codec.takes(dtype):
        return
    words = data.draw(any_words(dtype))
    into = np.empty_like(words)

    codec.decode(memoryview(codec.encode(words, dtype)), into, dtype)

    assert into.tobytes() == words.tobytes()


@given(
    array=hnp.arrays(
        st.sampled_from(["<f4", ">f4", "<f8", ">i2", "<i8", "?", "u1", "<f2", ">u8"]),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9),
    ),
    fortran=st.booleans(),
    cut=st.integers(1, 200),
)
@settings(max_examples=80, deadline=None)
def test_any_array_comes_back_as_it_was_whatever_the_pieces(array: np.ndarray, fortran: bool, cut: int):
    array = np.asfortranarray(array) if fortran else array
    tensor = from_numpy(array)

    packed = pack_bytes(tensor, chunk_bytes=64)
    back = unpack(packed[at : at + cut] for at in range(0, len(packed), cut))

    assert back.shape == array.shape
    assert back.tensor_id == tensor.tensor_id
    assert back.array.astype(array.dtype).tobytes() == np.ascontiguousarray(array).tobytes()


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf, -0.0, 5e-324])
def test_special_values_survive(special: float):
    tensor = from_numpy(np.full(5000, special))

    assert unpack([pack_bytes(tensor)]).array.tobytes() == tensor.array.tobytes()


def test_a_part_is_read_without_the_rest():
    tensor = weights()
    packed = bytearray(pack_bytes(tensor, chunk_bytes=1 << 16))
    opened = PackedTensor(InMemory(bytes(packed)))
    first_frame_end = next(opened.frame_heads()).coded_bytes
    packed[first_frame_end // 2] ^= 0xFF  # the first frame is spoilt; the others do not need it

    part = PackedTensor(InMemory(bytes(packed))).read(100_000, 250_001)

    assert part.tobytes() == tensor.array[100_000:250_001].tobytes()


def test_weights_shrink_within_the_streaming_budget():
    tally = Tally()
    list(pack(bf16(weights()), tally=tally))

    assert tally.ratio > 1.44
    assert set(tally.chunks_by_codec) == {"planes"}


def test_noise_stays_raw():
    tally = Tally()
    list(pack(from_numpy(RNG.integers(0, 2**64, 200_000, dtype=np.uint64)), tally=tally))

    assert set(tally.chunks_by_codec) == {"raw"}


def test_what_is_mostly_zero_takes_little_more_than_what_is_not():
    activations, tally = np.maximum(RNG.standard_normal(500_000, dtype=np.float32) - 1, 0), Tally()
    packed = b"".join(pack(from_numpy(activations), tally=tally))

    assert unpack([packed]).array.tobytes() == activations.tobytes()
    assert set(tally.chunks_by_codec) == {"sparse"}
    assert tally.ratio > 5


def test_single_bytes_that_repeat_from_afar_are_met():
    text, tally = np.tile(RNG.integers(32, 96, 300_000, np.uint8), 3), Tally()
    packed = b"".join(pack(from_numpy(text), tally=tally))

    assert unpack([packed]).array.tobytes() == text.tobytes()
    assert set(tally.chunks_by_codec) == {"zstd"}
    assert tally.ratio > 3


@pytest.mark.parametrize("largest", [1, 255])
def test_truth_values_come_back_even_when_they_hold_other_bytes(largest: int):
    words = RNG.integers(0, largest, 100_003, np.uint8, endpoint=True)
    coded, into = codecs.BITS.encode(words, "bool"), np.empty_like(words)

    codecs.BITS.decode(memoryview(coded), into, "bool")

    assert into.tobytes() == words.tobytes()
    assert largest > 1 or len(coded) < words.size / 7.9


@pytest.mark.parametrize("apart", [0, 100, 20_000])
def test_exponents_come_back_also_those_far_from_the_others(apart: int):
    plane = np.clip(RNG.normal(118, 2, 1 << 18), 111, 126).astype(np.uint8)
    plane[RNG.integers(0, plane.size, apart)] = RNG.integers(0, 256, apart)

    coded = exponents.encode(plane)

    assert exponents.decode(memoryview(coded), plane.size).tobytes() == plane.tobytes()
    assert (coded[0] == 1) == (apart < 1000)  # in pairs, as long as few are listed


def test_slow_codecs_need_a_budget_that_allows_them():
    assert codecs.PCODEC in COLD.allows("float32")
    assert codecs.PCODEC not in STREAMING.allows("float32")
    assert Budget(1e9).allows("float32") == (codecs.RAW,)


def test_mixed_content_gets_mixed_codecs():
    part = 1 << 18
    mixed = np.concatenate(
        [weights(part).array, np.zeros(part, np.float32), RNG.integers(0, 2**32, part, "u4").view("f4")]
    )
    tally = Tally()

    packed = b"".join(pack(from_numpy(mixed), tally=tally))

    assert unpack([packed]).array.tobytes() == mixed.tobytes()
    assert len(tally.chunks_by_codec) == 3


def test_a_checkpoint_is_a_fraction_of_its_size_beside_the_one_before():
    before = bf16(weights())
    words = before.array.copy()
    words[RNG.integers(0, words.size, words.size // 100)] ^= 1
    after, tally = from_numpy(words, "bfloat16"), Tally()

    packed = b"".join(pack(after, reference=before, tally=tally))

    assert unpack([packed], reference=before).tensor_id == after.tensor_id
    assert tally.ratio > 8
    assert all(name.startswith("delta+") for name in tally.chunks_by_codec)


def test_a_delta_that_does_not_pay_is_not_used():
    tensor, tally = weights(), Tally()
    list(pack(tensor, reference=from_numpy(RNG.integers(0, 2**32, 300_000, "u4").view("f4")), tally=tally))

    assert set(tally.chunks_by_codec) == {"planes"}


def test_chunks_are_deltas_or_plain_as_each_of_them_pays():
    before, each = weights(400_000), 10_000
    values = before.array.copy()
    values[5 * each : 30 * each] = weights(25 * each).array[::-1]  # other weights, as after an initialisation
    after, tally = from_numpy(values), Tally()
    packed = b"".join(pack(after, reference=before, chunk_bytes=4 * each, tally=tally))
    assert unpack([packed], reference=before).array.tobytes() == values.tobytes()
    deltas = sum(count for name, count in tally.chunks_by_codec.items() if name.startswith("delta+"))
    # Five, then one look in every sixteen chunks, and those after the third look.
    assert deltas == 5 + 40 - (5 + 2 * TRUSTED_CHUNKS)


def test_a_delta_is_refused_without_its_reference():
    before, after = weights(), weights()
    packed = pack_bytes(after, reference=before)

    with pytest.raises(TensorRefused, match=before.tensor_id):
        unpack([packed])
    with pytest.raises(TensorRefused, match=before.tensor_id):
        PackedTensor(InMemory(packed), reference=after)


def test_a_reference_of_another_shape_is_refused():
    with pytest.raises(TensorRefused, match="same dtype and shape"):
        pack_bytes(weights(10), reference=weights(11))


@given(hnp.arrays(np.float32, st.integers(0, 9000), elements=st.floats(width=32, allow_nan=True), unique=False))
@settings(max_examples=60, deadline=None)
def test_bf16_keeps_its_stated_bound(values: np.ndarray):
    back = unpack([pack_bytes(from_numpy(values), lossy="bf16")]).array

    assert (np.isnan(back) == np.isnan(values)).all()
    assert (np.isinf(back) == np.isinf(values)).all()
    normal = np.isfinite(values) & (np.abs(values) > 1.2e-38)
    error = np.abs(back[normal].astype(np.float64) - values[normal])
    assert (error <= lossy.BOUNDS["bf16"].relative * np.abs(values[normal].astype(np.float64))).all()


def test_bf16_makes_no_infinity_of_a_number():
    ends = np.array([np.finfo(np.float32).min, np.finfo(np.float32).max, 3.3961775e38, 3.3961774e38, np.inf, -np.inf])
    back = lossy.from_bf16(lossy.to_bf16(ends.astype(np.float32)))
    largest = np.float32(3.3895314e38)
    assert back.tolist() == [-largest, largest, largest, largest, np.inf, -np.inf]


@given(hnp.arrays(np.float32, st.integers(0, 9000), elements=st.floats(-(2.0**99), 2.0**99, width=32), unique=False))
@settings(max_examples=60, deadline=None)
def test_int8_keeps_its_stated_bound(values: np.ndarray):
    back = unpack([pack_bytes(from_numpy(values), lossy="int8")]).array.astype(np.float64)

    for start in range(0, values.size, lossy.BLOCK):
        block = values[start : start + lossy.BLOCK].astype(np.float64)
        allowed = lossy.BOUNDS["int8"].of_block_max * np.abs(block).max()
        assert np.abs(back[start : start + lossy.BLOCK] - block).max() <= allowed


def test_values_that_int8_cannot_bound_stay_exact():
    values = weights(5000).array.copy()
    values[17] = np.inf

    assert unpack([pack_bytes(from_numpy(values), lossy="int8")]).array.tobytes() == values.tobytes()


def test_int8_takes_a_quarter_and_keeps_only_those_chunks_exact_that_it_cannot_bound():
    values, tally = weights(6000).array.copy(), Tally()
    values[2500] = np.nan
    packed = pack_bytes(from_numpy(values), lossy="int8", chunk_bytes=8000, tally=tally)
    back = unpack([packed]).array
    exact = slice(2000, 4000)  # the second of three chunks
    assert back[exact].tobytes() == values[exact].tobytes()
    assert 0 < np.abs(back - values)[:2000].max() < 0.01
    assert len(packed) < 0.6 * values.nbytes
    assert sum(count for name, count in tally.chunks_by_codec.items() if name.startswith("int8+")) == 2


def test_nothing_is_lossy_but_float32_and_only_when_asked():
    with pytest.raises(TensorRefused, match="float32"):
        pack_bytes(from_numpy(np.zeros(3)), lossy="bf16")


def test_packing_holds_one_chunk_at_a_time():
    pieces = pack(weights(2_000_000), chunk_bytes=1 << 16)

    assert max(len(piece) for piece in pieces) <= (1 << 16) + 4096

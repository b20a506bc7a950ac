"""Truncated, altered and hostile frames: always TensorDamaged or TensorRefused, never values, never a crash."""

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensor_layer.errors import TensorDamaged, TensorRefused
from tensor_layer.stream import exponents, frames
from tensor_layer.stream.choice import COLD, STREAMING
from tensor_layer.stream.codecs import CODECS, Codec
from tensor_layer.stream.frames import Header
from tensor_layer.stream.reader import InMemory, PackedTensor, unpack
from tensor_layer.stream.tensor import from_numpy
from tensor_layer.stream.writer import pack_bytes

WEIGHTS = from_numpy((np.random.default_rng(3).standard_normal(40_000) * 0.02).astype(np.float32))
COUNTS = from_numpy(np.arange(20_000, dtype=np.int64) // 7)
PACKED = (
    pack_bytes(WEIGHTS, chunk_bytes=1 << 15),
    pack_bytes(COUNTS, chunk_bytes=1 << 15, budget=COLD),
    pack_bytes(COUNTS, chunk_bytes=1 << 15, budget=STREAMING),
    pack_bytes(WEIGHTS, lossy="int8"),
)


def in_order(packed: bytes) -> None:
    unpack([packed])


def by_index(packed: bytes) -> None:
    PackedTensor(InMemory(packed)).tensor()


both_ways = pytest.mark.parametrize("read", [in_order, by_index])


@both_ways
@given(which=st.sampled_from(PACKED), keep=st.floats(0, 1, exclude_max=True))
@settings(max_examples=150, deadline=None)
def test_a_truncated_stream_is_found_out(read, which: bytes, keep: float):
    with pytest.raises(TensorDamaged):
        read(which[: int(len(which) * keep)])


@both_ways
@given(which=st.sampled_from(PACKED), where=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
@settings(max_examples=200, deadline=None)
def test_a_single_altered_byte_is_found_out(read, which: bytes, where: float, flip: int):
    spoilt = bytearray(which)
    at = int(len(spoilt) * where)
    spoilt[at] ^= flip

    with pytest.raises((TensorDamaged, TensorRefused)):
        read(bytes(spoilt))


@both_ways
@given(noise=st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_noise_is_no_tensor(read, noise: bytes):
    with pytest.raises(TensorDamaged):
        read(noise)


@both_ways
def test_bytes_after_the_end_are_found_out(read):
    with pytest.raises(TensorDamaged):
        read(PACKED[0] + b"\0")


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_codec_survives_hostile_bytes_that_pass_the_checks(codec: Codec, data: st.DataObject):
    """Checks find damage, not malice: whoever forges them must still get an error, never a crash or an overrun."""
    words = WEIGHTS.words()[: 1 << 15]
    coded = bytearray(codec.encode(words, "float32"))
    for _ in range(data.draw(st.integers(1, 8))):
        coded[data.draw(st.integers(0, len(coded) - 1))] = data.draw(st.integers(0, 255))
    coded = coded[: data.draw(st.integers(0, len(coded)))]
    room = np.zeros(words.size + 64, "<u4")

    with contextlib.suppress(TensorDamaged):
        codec.decode(memoryview(bytes(coded)), room[: words.size], "float32")

    assert not room[words.size :].any()


@pytest.mark.parametrize("codec", [c for c in CODECS if c.takes("int64")], ids=lambda codec: codec.name)
def test_a_chunk_that_ends_anywhere_too_soon_is_damaged(codec: Codec):
    words = COUNTS.words()[:100]
    coded = codec.encode(words, "int64")
    for length in range(len(coded)):
        with pytest.raises(TensorDamaged):
            codec.decode(memoryview(bytes(coded[:length])), np.zeros_like(words), "int64")


def test_the_head_of_a_frame_may_announce_the_largest_chunk_and_nothing_more():
    largest = frames.CHUNK_MAX_BYTES
    head = frames.Frame(3, 0, frames.PLAIN, largest, 1, b"ab", extra_bytes=2).pack()[0]
    assert frames.unpack_frame_head(head).raw_bytes == largest
    for raw_bytes, coded, extra in ((largest + 1, b"ab", 0), (0, bytes(4097), 0), (8, b"ab", 3)):
        head = frames.Frame(3, 0, frames.PLAIN, raw_bytes, 1, coded, extra_bytes=extra).pack()[0]
        with pytest.raises(TensorDamaged, match="frame 3 announces impossible lengths"):
            frames.unpack_frame_head(head)


def test_an_exponent_listed_outside_its_chunk_is_damage():
    plane = np.full(1 << 16, 120, np.uint8)
    plane[-1] = 3
    coded = bytearray(exponents.encode(plane))
    place = coded.index(struct.pack("<I", plane.size - 1))
    assert exponents.decode(memoryview(bytes(coded)), plane.size)[-1] == 3
    coded[place : place + 4] = struct.pack("<I", plane.size)
    with pytest.raises(TensorDamaged, match="outside its chunk"):
        exponents.decode(memoryview(bytes(coded)), plane.size)


def test_no_byte_of_the_header_may_be_altered():
    header = Header(dtype="float32", shape=(3, 5), chunk_bytes=4096).pack()
    assert frames.unpack_header(header).shape == (3, 5)
    for place in range(len(header)):
        spoilt = bytearray(header)
        spoilt[place] ^= 1
        with pytest.raises(TensorDamaged):
            frames.unpack_header(bytes(spoilt))


def test_an_impossible_header_reserves_no_memory():
    with pytest.raises(TensorRefused, match="at most"):
        unpack([Header(dtype="float64", shape=(1 << 40,), chunk_bytes=1 << 20).pack()])


@pytest.mark.parametrize("shape", ["[-1]", "[4611686018427387904,4]", "[0,4611686018427387904,4]"])
def test_a_header_with_a_shape_that_cannot_exist_is_damaged(shape: str):
    meta = f'{{"dtype":"float32","shape":{shape},"chunk_bytes":4096}}'.encode()
    body = struct.pack("<4sHH", b"AOST", frames.VERSION, len(meta)) + meta

    with pytest.raises(TensorDamaged, match="nothing sensible"):
        unpack([body + struct.pack("<Q", frames.check(body))])


def test_a_newer_format_is_told_by_its_version():
    newer = bytearray(PACKED[0])
    newer[4] = 2

    with pytest.raises(TensorDamaged, match="version 2"):
        unpack([bytes(newer)])


def test_swapped_frames_are_found_out():
    packed = PACKED[0]
    opened = PackedTensor(InMemory(packed))
    sizes = [frames.FRAME_HEAD_BYTES + head.coded_bytes for head in opened.frame_heads()]
    start = len(opened.header.pack())
    first, second = packed[start : start + sizes[0]], packed[start + sizes[0] : start + sizes[0] + sizes[1]]

    with pytest.raises(TensorDamaged, match="belongs here"):
        unpack([packed[:start], second, first, packed[start + sizes[0] + sizes[1] :]])

"""Truncated, altered and hostile frames: always TensorDamaged or TensorRefused, never values, never a crash."""

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tensor_layer.errors import TensorDamaged, TensorRefused
from tensor_layer.stream import frames
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

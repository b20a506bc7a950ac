"""The lossless codecs, one chunk of words at a time. `choice` picks among them, `frames` names them in every frame.

Decoding never trusts the coded bytes: the size they announce is compared with the room before a C library runs.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import blosc2
import numpy as np
import zstandard
from numpy.typing import NDArray
from pcodec import ChunkConfig, DeltaSpec, ModeSpec, standalone

from schemas.tensor import DType
from tensor_layer.errors import TensorDamaged
from tensor_layer.stream.tensor import FLOATS, STORED_AS

Words = NDArray[Any]
"""(n,) unsigned little-endian words of the element's own size, C-contiguous."""

BLOSC_BLOCK_BYTES = 512 * 1024
"""Shuffled planes of a block are one run each: real weights lose 1-8 % of ratio with the default, smaller blocks."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One way to store a chunk. ``mb_per_cpu_s``: encoding real fp32 and bf16 weights, the slower of both."""

    code: int
    name: str
    mb_per_cpu_s: float
    encode: Callable[[Words, DType], bytes]
    decode: Callable[[memoryview, Words, DType], None]
    takes: Callable[[DType], bool]


def _raw_encode(words: Words, _: DType) -> bytes:
    return words.tobytes()


def _raw_decode(coded: memoryview, into: Words, _: DType) -> None:
    if coded.nbytes != into.nbytes:
        raise TensorDamaged(f"a raw chunk of {coded.nbytes} bytes stands for {into.nbytes}")
    into[:] = np.frombuffer(coded, into.dtype)


def _blosc_encode(words: Words, _: DType) -> bytes:
    return bytes(
        blosc2.compress2(
            words,
            typesize=words.dtype.itemsize,
            codec=blosc2.Codec.ZSTD,
            clevel=1,
            filters=[blosc2.Filter.SHUFFLE],
            filters_meta=[0],
            blocksize=min(BLOSC_BLOCK_BYTES, max(words.nbytes, 1)),
            splitmode=blosc2.SplitMode.NEVER_SPLIT,
            nthreads=1,
        )
    )


def _blosc_decode(coded: memoryview, into: Words, _: DType) -> None:
    try:
        announced, held, _block = blosc2.get_cbuffer_sizes(coded)
        if announced != into.nbytes or held != coded.nbytes:
            raise TensorDamaged(f"a blosc2 chunk announces {announced} bytes where {into.nbytes} belong")
        written = blosc2.decompress2(coded, dst=into, nthreads=1)
    except (RuntimeError, ValueError, TypeError) as error:
        raise TensorDamaged(f"a blosc2 chunk does not decode: {error}") from error
    if written is not None and written != into.nbytes:
        raise TensorDamaged(f"a blosc2 chunk gave {written} bytes instead of {into.nbytes}")


_PLANES_HEAD = struct.Struct("<II")
_HUFFMAN = zstandard.ZstdCompressionParameters(
    strategy=zstandard.STRATEGY_FAST, window_log=17, hash_log=6, chain_log=6, search_log=1, min_match=7, target_length=0
)
"""zstd with its match finder all but blind: what is left is its Huffman coder. Weights have no repeats worth finding,
and looking for them cost two thirds of the time and 3 % of the ratio."""


def _planes_encode(words: Words, _: DType) -> bytes:
    """Exponents apart from mantissas: a float's word rotated left by one has its exponent in the top byte (as ZipNN,
    Hershcovitch et al. 2024). The top byte, and in 32 bits the next one, is Huffman-coded; the rest is noise and stays.
    """
    bits = words.dtype.itemsize * 8
    rotated = np.left_shift(words, 1)
    np.bitwise_or(rotated, np.right_shift(words, bits - 1), out=rotated)
    coder = zstandard.ZstdCompressor(compression_params=_HUFFMAN)
    top = coder.compress(np.right_shift(rotated, bits - 8).astype(np.uint8).data)
    if bits == 16:
        return b"".join((_PLANES_HEAD.pack(len(top), 0), top, rotated.astype(np.uint8).tobytes()))
    middle = coder.compress(np.right_shift(rotated, 16).astype(np.uint8).data)
    return b"".join((_PLANES_HEAD.pack(len(top), len(middle)), top, middle, rotated.astype("<u2").tobytes()))


def _planes_decode(coded: memoryview, into: Words, _: DType) -> None:
    bits, count = into.dtype.itemsize * 8, into.size
    low_bytes = count if bits == 16 else 2 * count
    if coded.nbytes < _PLANES_HEAD.size:
        raise TensorDamaged("a planes chunk ends before its head does")
    top_bytes, middle_bytes = _PLANES_HEAD.unpack_from(coded)
    middle_at = _PLANES_HEAD.size + top_bytes
    low_at = middle_at + middle_bytes
    if low_at + low_bytes != coded.nbytes or (bits == 16) != (middle_bytes == 0):
        raise TensorDamaged("a planes chunk is not as long as it says")
    into[:] = _plane(coded[_PLANES_HEAD.size : middle_at], count)
    if bits == 32:
        np.left_shift(into, 8, out=into)
        np.bitwise_or(into, _plane(coded[middle_at:low_at], count), out=into)
    low = np.frombuffer(coded[low_at:], np.uint8 if bits == 16 else "<u2")
    np.left_shift(into, bits // 2, out=into)
    np.bitwise_or(into, low, out=into)
    sign = np.left_shift(into, bits - 1)
    np.right_shift(into, 1, out=into)
    np.bitwise_or(into, sign, out=into)


def _plane(coded: memoryview, count: int) -> Words:
    try:
        if zstandard.frame_content_size(coded) != count:
            raise TensorDamaged(f"a plane does not hold {count} bytes")
        return np.frombuffer(zstandard.ZstdDecompressor().decompress(coded, max_output_size=count), np.uint8)
    except zstandard.ZstdError as error:
        raise TensorDamaged(f"a plane does not decode: {error}") from error


_PCO: Mapping[DType, str] = {**STORED_AS, "bool": "|u1"}
_PCO_CONFIG = ChunkConfig(compression_level=8, enable_8_bit=True)
_PCO_CONFIG_PLAIN = ChunkConfig(compression_level=8, mode_spec=ModeSpec.classic(), delta_spec=DeltaSpec.no_op())


def _pco_encode(words: Words, dtype: DType) -> bytes:
    config = _PCO_CONFIG_PLAIN if dtype in ("bfloat16", "float16") else _PCO_CONFIG
    return bytes(standalone.simple_compress(words.view(_PCO[dtype]), config))


def _pco_decode(coded: memoryview, into: Words, dtype: DType) -> None:
    try:
        progress = standalone.simple_decompress_into(bytes(coded), into.view(_PCO[dtype]))
    except (RuntimeError, ValueError, TypeError) as error:
        raise TensorDamaged(f"a pcodec chunk does not decode: {error}") from error
    if progress.n_processed != into.size or not progress.finished:
        raise TensorDamaged(f"a pcodec chunk gave {progress.n_processed} values instead of {into.size}")


RAW = Codec(0, "raw", 5000.0, _raw_encode, _raw_decode, lambda _: True)
BLOSC = Codec(1, "blosc2-zstd1", 420.0, _blosc_encode, _blosc_decode, lambda _: True)
PCODEC = Codec(2, "pcodec", 100.0, _pco_encode, _pco_decode, lambda _: True)
PLANES = Codec(3, "planes", 550.0, _planes_encode, _planes_decode, lambda d: d in FLOATS and d != "float64")

CODECS: tuple[Codec, ...] = (RAW, BLOSC, PCODEC, PLANES)
BY_CODE: Mapping[int, Codec] = {codec.code: codec for codec in CODECS}

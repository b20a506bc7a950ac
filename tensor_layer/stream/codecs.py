"""The lossless codecs, one chunk of words at a time. `choice` picks among them, `frames` names them in every frame.

Decoding never trusts the coded bytes: the size they announce is compared with the room before a C library runs.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from pcodec import ChunkConfig, DeltaSpec, ModeSpec, standalone

from schemas.tensor import DType
from tensor_layer.errors import TensorDamaged
from tensor_layer.stream import bits, columns, huffman, narrow, planes, shuffle, sparse
from tensor_layer.stream.tensor import FLOATS, STORED_AS, Words


@dataclass(frozen=True, slots=True)
class Codec:
    """One way to store a chunk. ``mb_per_cpu_s``: encoding real fp32 and bf16 weights, the slower of both."""

    code: int
    name: str
    mb_per_cpu_s: float
    encode: Callable[[Words, DType], bytes | memoryview]
    decode: Callable[[memoryview, Words, DType], None]
    takes: Callable[[DType], bool]


def _raw_encode(words: Words, _: DType) -> memoryview:
    return words.view(np.uint8).data


def _raw_decode(coded: memoryview, into: Words, _: DType) -> None:
    if coded.nbytes != into.nbytes:
        raise TensorDamaged(f"a raw chunk of {coded.nbytes} bytes stands for {into.nbytes}")
    into[:] = np.frombuffer(coded, into.dtype)


def _blosc_encode(words: Words, _: DType) -> bytes:
    return shuffle.encode(words)


def _blosc_decode(coded: memoryview, into: Words, _: DType) -> None:
    shuffle.decode(coded, into)


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


def _zstd_encode(words: Words, _: DType) -> bytes:
    return huffman.squeeze_repeats(words)


def _zstd_decode(coded: memoryview, into: Words, _: DType) -> None:
    into.view(np.uint8)[:] = huffman.expand(coded, into.nbytes)


def _one_byte(dtype: DType) -> bool:
    return np.dtype(STORED_AS[dtype]).itemsize == 1


RAW = Codec(0, "raw", 5000.0, _raw_encode, _raw_decode, lambda _: True)
BLOSC = Codec(1, "blosc2-zstd1", 420.0, _blosc_encode, _blosc_decode, lambda _: True)
PCODEC = Codec(2, "pcodec", 100.0, _pco_encode, _pco_decode, lambda _: True)
PLANES = Codec(3, "planes", 1100.0, planes.encode, planes.decode, lambda d: d in FLOATS)
ZSTD = Codec(4, "zstd", 430.0, _zstd_encode, _zstd_decode, lambda d: _one_byte(d) and d != "bool")
SPARSE = Codec(5, "sparse", 1100.0, sparse.encode, sparse.decode, lambda d: not _one_byte(d))
NARROW = Codec(6, "narrow", 420.0, narrow.encode, narrow.decode, lambda d: not _one_byte(d) and d not in FLOATS)
BITS = Codec(7, "bits", 2000.0, bits.encode, bits.decode, lambda d: d == "bool")
COLUMNS = Codec(8, "columns", 800.0, columns.encode, columns.decode, NARROW.takes)

CODECS: tuple[Codec, ...] = (RAW, BLOSC, PCODEC, PLANES, ZSTD, SPARSE, NARROW, BITS, COLUMNS)
BY_CODE: Mapping[int, Codec] = {codec.code: codec for codec in CODECS}

"""Coverage-guided fuzzing of what reads other people's bytes: tensor frames, pictures, sounds, forms, /v1/embeddings.

    pip install atheris
    python -m tests.fuzz.fuzz_decoders -max_total_time=60

Not run by pytest: the tests fuzz the same entrances with hypothesis. Any exception that is not ours is a finding.
"""

import asyncio
import base64
import contextlib
import sys
import warnings
from collections.abc import AsyncIterator, Callable

import atheris
import numpy as np
import orjson
from pydantic import ValidationError

with atheris.instrument_imports(include=["tensor_layer", "gateway", "python_multipart", "PIL"]):
    from gateway.errors import GatewayError
    from gateway.http.embeddings import EmbeddingRequest, parts_of
    from gateway.http.multipart import MultipartReader
    from schemas.tensor import DType
    from tensor_layer.encoding.pictures import decode_picture
    from tensor_layer.encoding.sounds import decode_sound
    from tensor_layer.errors import TensorLayerError
    from tensor_layer.inspection.content import Damaged
    from tensor_layer.inspection.sniffing import sniff
    from tensor_layer.stream.codecs import CODECS
    from tensor_layer.stream.reader import InMemory, PackedTensor, unpack
    from tensor_layer.stream.tensor import from_numpy
    from tensor_layer.stream.writer import pack_bytes

DTYPES: tuple[DType, ...] = ("float32", "int64", "uint16", "int8", "bool", "float64")
PACKED = pack_bytes(from_numpy(np.arange(3000, dtype=np.float32)), chunk_bytes=4096)


def frames(content: bytes) -> None:
    """Noise, and a real stream with a few bytes of it replaced."""
    place = int.from_bytes(content[:2], "little") % len(PACKED)
    for packed in (content, PACKED[:place] + content[2:] + PACKED[place + len(content) - 2 :]):
        for read in (lambda packed: unpack([packed]), lambda packed: PackedTensor(InMemory(packed)).tensor()):
            with contextlib.suppress(TensorLayerError):
                read(packed)


def coded(content: bytes) -> None:
    """A chunk whose sums somebody forged: noise, and a real one with a few bytes of it replaced."""
    codec, dtype = CODECS[content[0] % len(CODECS)], DTYPES[content[1] % len(DTYPES)]
    if not codec.takes(dtype):
        return
    words = from_numpy(np.arange(500).astype(dtype)).words()
    real = bytes(codec.encode(words, dtype))
    place = content[2] % max(len(real), 1)
    for chunk in (content[3:], real[:place] + content[3:] + real[place + len(content) - 3 :]):
        with contextlib.suppress(TensorLayerError):
            codec.decode(memoryview(chunk), np.empty_like(words), dtype)


def form(content: bytes) -> None:
    """A form as it streams in, in two pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        middle = len(content) // 2
        yield content[:middle]
        yield content[middle:]

    async def read() -> None:
        async for part in MultipartReader(pieces(), "multipart/form-data; boundary=x").parts():
            async for _ in part.chunks:
                pass

    with contextlib.suppress(GatewayError):
        asyncio.run(read())


def inputs(content: bytes) -> None:
    """A body for /v1/embeddings: the bytes themselves, and the bytes as a data URL in one."""
    url = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    for body in (content, orjson.dumps({"model": "aos", "input": [url]})):
        with contextlib.suppress(GatewayError, ValidationError):
            for part in parts_of(EmbeddingRequest.model_validate_json(body)):
                media(part.inline_bytes() or b"")


def media(content: bytes) -> None:
    """A file of any kind."""
    sniff(content)
    for decode in (decode_picture, decode_sound):
        with contextlib.suppress(Damaged):
            decode(content)


TARGETS: tuple[Callable[[bytes], None], ...] = (frames, form, media, coded, inputs)


def one_input(content: bytes) -> None:
    """The first byte chooses the entrance."""
    if len(content) > 3:
        TARGETS[content[0] % len(TARGETS)](content[1:])


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()

"""Parts, inline or by reference, become vectors: decoded, batched, and remembered by content."""

import asyncio
import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from schemas.parts import Modality, Part
from schemas.percept import EncoderVersion
from tensor_layer.encoding.batching import BatchingEncoder
from tensor_layer.encoding.parts import LocalPartEncoder
from tensor_layer.encoding.pictures import decode_picture
from tensor_layer.errors import BlobNotFound, DeviceFull, UnreadablePart
from tensor_layer.ports import EncoderCard, Picture, Vector
from tensor_layer.storage.blobs import ObstoreBlobs
from tests.unit.tensor_layer import samples


class Sizes:
    """A picture's vector says how large it is. Wide ones do not fit the device."""

    card = EncoderCard(EncoderVersion(name="sizes", version="1", dimension=2), Modality.IMAGE, "float32", "cpu", "MIT")

    def __init__(self) -> None:
        self.batches: list[int] = []

    def tokens_of(self, content: Picture) -> int:
        return 1

    def encode(self, contents: Sequence[Picture]) -> Vector:
        if any(picture.width > 500 for picture in contents):
            raise DeviceFull("cuda:0 has no memory for this")
        self.batches.append(len(contents))
        return np.array([picture.size for picture in contents], dtype=np.float32)


@pytest.fixture
def blobs(tmp_path: Path) -> ObstoreBlobs:
    return ObstoreBlobs.from_url(tmp_path.as_uri())


def inline(content: bytes) -> Part:
    return Part(data=base64.b64encode(content).decode(), name="p.png")


async def test_the_same_content_is_encoded_once_inline_or_by_reference(blobs: ObstoreBlobs):
    model = Sizes()
    encoder = LocalPartEncoder(blobs, BatchingEncoder(model), decode_picture)
    content = samples.picture()
    parts = [inline(content), Part(ref=await blobs.put_bytes(content)), inline(samples.picture(size=(10, 20)))]

    rows = await encoder.encode(parts)
    again = await encoder.encode(parts)

    assert rows.tolist() == again.tolist() == [[64, 48], [64, 48], [10, 20]]
    assert sum(model.batches) == 2


async def test_what_does_not_decode_or_fit_or_exist_fails_alone(blobs: ObstoreBlobs):
    encoder = LocalPartEncoder(blobs, BatchingEncoder(Sizes()), decode_picture)
    gone = await ObstoreBlobs.from_url("memory://").put_bytes(b"elsewhere")
    parts = [
        inline(samples.picture()),
        inline(samples.SVG),
        inline(samples.picture(size=(600, 20))),
        Part(ref=gone),
    ]

    rows = await asyncio.gather(*(encoder.encode([part]) for part in parts), return_exceptions=True)

    assert [type(row) for row in rows] == [np.ndarray, UnreadablePart, DeviceFull, BlobNotFound]
    assert "p.png" in str(rows[1])


async def test_a_caller_that_leaves_takes_nobody_with_it(blobs: ObstoreBlobs):
    encoder = LocalPartEncoder(blobs, BatchingEncoder(Sizes()), decode_picture)
    first = asyncio.create_task(encoder.encode([inline(samples.picture())]))
    second = asyncio.create_task(encoder.encode([inline(samples.picture())]))
    await asyncio.sleep(0)

    first.cancel()

    assert (await second).tolist() == [[64, 48]]

"""The perception service answers for pictures and sounds too, and workers that ask it hold no model."""

import base64
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from nats.aio.client import Client

from schemas.parts import Modality, Part, text_part
from schemas.percept import EncoderVersion
from tensor_layer.bus import PerceptionService
from tensor_layer.encoding.batching import BatchingEncoder
from tensor_layer.encoding.parts import LocalPartEncoder
from tensor_layer.encoding.pictures import decode_picture
from tensor_layer.encoding.remote import RemotePartEncoder
from tensor_layer.errors import BlobNotFound, DeviceFull, UnreadablePart
from tensor_layer.ports import EncoderCard, Picture, Vector
from tensor_layer.storage.blobs import ObstoreBlobs
from tests.unit.tensor_layer import samples


class Shapes:
    """A picture's vector says whether it is wide or high. Very wide ones do not fit the device."""

    version = EncoderVersion(name="shapes", version="3", dimension=2)
    card = EncoderCard(version, Modality.IMAGE, "float32", "cpu", "MIT", "words@1")

    def tokens_of(self, content: Picture) -> int:
        return 1

    def encode(self, contents: Sequence[Picture]) -> Vector:
        if any(picture.width > 900 for picture in contents):
            raise DeviceFull("cpu has no memory for this")
        return np.array([[w > h, w <= h] for w, h in (picture.size for picture in contents)], dtype=np.float32)


class Words:
    version = EncoderVersion(name="words", version="1", dimension=2)

    async def encode(self, texts: Sequence[str]) -> Vector:
        return np.tile(np.eye(1, 2, dtype=np.float32), (len(texts), 1))


@pytest.fixture
def blobs(tmp_path: Path) -> ObstoreBlobs:
    return ObstoreBlobs.from_url(tmp_path.as_uri())


@pytest.fixture
async def service(nc: Client, blobs: ObstoreBlobs) -> AsyncIterator[PerceptionService]:
    senses = {Modality.IMAGE: LocalPartEncoder(blobs, BatchingEncoder(Shapes()), decode_picture)}
    service = PerceptionService(nc, Words(), senses)
    await service.start()
    yield service
    await service.stop()


def inline(content: bytes) -> Part:
    return Part(data=base64.b64encode(content).decode())


@pytest.mark.usefixtures("service")
async def test_pictures_inline_large_and_by_reference_become_vectors(nc: Client, blobs: ObstoreBlobs):
    encoder = await RemotePartEncoder.discover(nc, Modality.IMAGE, blobs)
    assert encoder is not None
    large = samples.picture("BMP", size=(400, 700))  # 840 kB: not in a message
    high = await blobs.put_bytes(samples.picture(size=(20, 30)))

    rows = await encoder.encode([inline(samples.picture()), inline(large), Part(ref=high)])

    assert rows.tolist() == [[1, 0], [0, 1], [0, 1]]
    assert encoder.card == Shapes.card


@pytest.mark.usefixtures("service")
async def test_what_is_wrong_with_a_picture_is_told_as_what_it_is(nc: Client, blobs: ObstoreBlobs):
    encoder = await RemotePartEncoder.discover(nc, Modality.IMAGE, blobs)
    assert encoder is not None
    gone = await ObstoreBlobs.from_url("memory://").put_bytes(b"elsewhere")

    with pytest.raises(UnreadablePart, match="no image"):
        await encoder.encode([inline(samples.EXE)])
    with pytest.raises(DeviceFull, match="no memory"):
        await encoder.encode([inline(samples.picture(size=(1000, 10)))])
    with pytest.raises(BlobNotFound):
        await encoder.encode([Part(ref=gone)])
    with pytest.raises(UnreadablePart, match="no image"):
        await encoder.encode([text_part("not a picture")])


@pytest.mark.usefixtures("service")
async def test_nobody_answers_for_a_modality_without_encoder(nc: Client, blobs: ObstoreBlobs):
    assert await RemotePartEncoder.discover(nc, Modality.AUDIO, blobs) is None


class KnownShapes(Shapes):
    """Knows pictures of up to 100 pixels."""

    def encode_discerning(self, contents: Sequence[Picture]) -> Vector:
        familiar = [[float(picture.width <= 100)] for picture in contents]
        return np.hstack([self.encode(contents), np.array(familiar, dtype=np.float32)])


@pytest.mark.parametrize(("model", "expected"), [(KnownShapes(), [1.0, 0.0]), (Shapes(), [None, None])])
async def test_how_familiar_a_picture_is_comes_over_the_bus(
    nc: Client, blobs: ObstoreBlobs, model: Shapes, expected: list[float | None]
):
    senses = {Modality.IMAGE: LocalPartEncoder(blobs, BatchingEncoder(model), decode_picture)}
    service = PerceptionService(nc, Words(), senses)
    await service.start()
    try:
        encoder = await RemotePartEncoder.discover(nc, Modality.IMAGE, blobs)
        assert encoder is not None
        shown = [inline(samples.picture(size=size)) for size in ((40, 30), (400, 300))]

        discerned = await encoder.discern(shown)

        assert [each.familiarity for each in discerned] == expected
        assert [each.vector.tolist() for each in discerned] == [[1, 0], [1, 0]]
    finally:
        await service.stop()

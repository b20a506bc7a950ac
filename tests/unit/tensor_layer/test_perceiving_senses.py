"""Pictures and sounds take part in the task vector as far as there are encoders, and percepts say what they lack."""

import base64
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from schemas.parts import Modality, Part, text_part
from schemas.percept import EncoderVersion
from tensor_layer.encoding.versions import space_of
from tensor_layer.errors import EncoderUnavailable, UnreadablePart
from tensor_layer.inspection.inspector import PartInspector
from tensor_layer.perception import PartPerceiver
from tensor_layer.ports import Discerned, EncoderCard, Fused, ModalityToken, Vector
from tensor_layer.senses import NOT_ALIGNED
from tensor_layer.storage.blobs import ObstoreBlobs
from tests.unit.tensor_layer import samples

TEXT = EncoderVersion(name="axes", version="1", dimension=3)
SEEING = EncoderVersion(name="eye", version="5", dimension=3)


class FirstAxis:
    """Every text points along the first axis."""

    version = TEXT

    async def encode(self, texts: Sequence[str]) -> Vector:
        return np.tile(np.eye(1, 3, dtype=np.float32), (len(texts), 1))


class Eye:
    """Every picture points along the second axis. Counts what it was asked."""

    def __init__(self, space: str | None, error: Exception | None = None) -> None:
        self.card = EncoderCard(SEEING, Modality.IMAGE, "float32", "cpu", "Apache-2.0", space)
        self.error = error
        self.asked = 0

    async def encode(self, parts: Sequence[Part]) -> Vector:
        self.asked += len(parts)
        if self.error is not None:
            raise self.error
        return np.tile(np.eye(3, dtype=np.float32)[1], (len(parts), 1))


class KnowingEye(Eye):
    """Says how familiar every picture is to it."""

    def __init__(self, familiarity: float | None) -> None:
        super().__init__(space_of(TEXT))
        self.familiarity = familiarity

    async def discern(self, parts: Sequence[Part]) -> Sequence[Discerned]:
        return [Discerned(vector, self.familiarity) for vector in await self.encode(parts)]


class OnlyPictures:
    """Learned, so to speak: pictures are everything."""

    version = "learned-1"

    def fuse(self, tokens: Sequence[ModalityToken]) -> Fused:
        weights = tuple(float(token.modality is Modality.IMAGE) for token in tokens)
        return Fused(np.array(np.eye(3)[1], dtype=np.float32), weights)


@pytest.fixture
def blobs(tmp_path: Path) -> ObstoreBlobs:
    return ObstoreBlobs.from_url(tmp_path.as_uri())


def picture() -> Part:
    return Part(data=base64.b64encode(samples.picture()).decode(), name="plan.png")


def seeing(blobs: ObstoreBlobs, eye: Eye, fusion: OnlyPictures | None = None) -> PartPerceiver:
    senses = {Modality.IMAGE: eye}
    return PartPerceiver(blobs, FirstAxis(), PartInspector(blobs), senses=senses, fusion=fusion)


async def test_a_picture_in_the_space_of_texts_counts_in_the_task_vector(blobs: ObstoreBlobs):
    seen = await seeing(blobs, Eye(space_of(TEXT))).perceive([text_part("What is this?"), picture()])

    assert seen.vector is not None
    assert seen.vector[0] > seen.vector[1] > 0.05
    assert seen.percept.parts[1].encoded_by == SEEING
    assert seen.percept.parts[1].lacks == ()
    assert list(seen.percept.weights) == ["instruction", "attachments", "part 1 (image)"]
    assert sum(seen.percept.weights.values()) == pytest.approx(1, abs=1e-3)
    assert seen.percept.fusion == "mean"


async def test_a_picture_in_another_space_is_encoded_but_never_mixed_with_texts(blobs: ObstoreBlobs):
    seen = await seeing(blobs, Eye(None)).perceive([text_part("What is this?"), picture()])

    assert seen.vector is not None
    assert seen.vector.tolist() == [1, 0, 0]
    assert seen.percept.parts[1].encoded_by == SEEING
    assert seen.percept.parts[1].lacks == (NOT_ALIGNED,)


async def test_learned_fusion_speaks_once_a_picture_takes_part(blobs: ObstoreBlobs):
    perceiver = seeing(blobs, Eye(space_of(TEXT)), OnlyPictures())

    with_picture = await perceiver.perceive([text_part("What is this?"), picture()])
    words_only = await perceiver.perceive([text_part("What is this?")])

    assert with_picture.percept.fusion == "learned-1"
    assert with_picture.percept.weights["part 1 (image)"] == 1
    assert words_only.percept.fusion == "mean"
    assert words_only.percept.weights == {"instruction": 1.0}


@pytest.mark.parametrize("error", [EncoderUnavailable("nobody answers"), UnreadablePart(0, "it is a strip")])
async def test_without_its_vector_a_task_is_still_perceived_and_asked_about_again(
    blobs: ObstoreBlobs, error: Exception
):
    eye = Eye(space_of(TEXT), error)
    perceiver = seeing(blobs, eye)
    parts = [text_part("What is this?"), picture()]

    seen = await perceiver.perceive(parts)

    assert seen.vector is not None
    assert seen.percept.parts[1].lacks == ("image",)
    assert seen.percept.parts[1].facts["not_encoded"] in str(error)
    eye.error = None
    assert (await perceiver.perceive(parts)).percept.parts[1].lacks == ()
    await perceiver.perceive(parts)
    assert eye.asked == 2


async def test_a_picture_unlike_all_that_its_encoder_knows_does_not_count_and_is_remembered(blobs: ObstoreBlobs):
    eye = KnowingEye(0.01)
    perceiver = seeing(blobs, eye, OnlyPictures())
    parts = [text_part("What is this?"), picture()]

    first, again = await perceiver.perceive(parts), await perceiver.perceive(parts)

    percept = first.percept.parts[1]
    assert percept.facts["familiarity"] == 0.01
    assert "unlike what eye was trained on" in percept.facts["not_counted"]
    assert percept.encoded_by is None
    assert not any("image" in source for source in first.percept.weights)
    assert first.vector is not None
    assert first.vector[0] == pytest.approx(1.0)
    assert again.percept.cached
    assert eye.asked == 1


@pytest.mark.parametrize("familiarity", [0.4, None])
async def test_a_familiar_picture_counts(blobs: ObstoreBlobs, familiarity: float | None):
    seen = await seeing(blobs, KnowingEye(familiarity), OnlyPictures()).perceive([text_part("What?"), picture()])

    assert seen.percept.parts[1].facts.get("familiarity") == familiarity
    assert seen.percept.parts[1].encoded_by == SEEING
    assert seen.percept.weights["part 1 (image)"] == 1.0

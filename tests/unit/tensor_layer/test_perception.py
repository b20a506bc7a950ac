import asyncio
import base64
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from schemas.parts import Modality, Part, text_part
from schemas.percept import EncoderVersion
from tensor_layer.encoding.cache import CachedTextEncoder
from tensor_layer.errors import BlobNotFound, UnreadablePart
from tensor_layer.inspection.inspector import PartInspector
from tensor_layer.memory import Lru
from tensor_layer.perception import PartPerceiver
from tensor_layer.ports import Vector
from tensor_layer.storage.blobs import ObstoreBlobs
from tensor_layer.words import ATTACHMENT_LINE_WEIGHT, ATTACHMENT_TEXT_WEIGHT, Words, described, words_of
from tests.unit.tensor_layer import samples


class Listening:
    """A real, tiny encoder that remembers what it was asked: each text has a direction of its own."""

    version = EncoderVersion(name="listening", version="1", dimension=64)

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def encode(self, texts: Sequence[str]) -> Vector:
        self.asked += texts
        rows = [np.random.default_rng(sum(text.encode())).normal(size=64) for text in texts]
        return np.array([row / np.linalg.norm(row) for row in rows], dtype=np.float32)


@pytest.fixture
def blobs(tmp_path: Path) -> ObstoreBlobs:
    return ObstoreBlobs.from_url(tmp_path.as_uri())


@pytest.fixture
def encoder() -> Listening:
    return Listening()


@pytest.fixture
def perceiver(blobs: ObstoreBlobs, encoder: Listening) -> PartPerceiver:
    return PartPerceiver(blobs, encoder, PartInspector(blobs))


def inline(content: bytes, name: str | None = None) -> Part:
    return Part(data=base64.b64encode(content).decode(), name=name)


async def test_a_question_has_its_text_as_its_vector(perceiver: PartPerceiver, encoder: Listening):
    seen = await perceiver.perceive([text_part("Who was Ada?")])

    assert seen.percept.modalities == (Modality.TEXT,)
    assert seen.percept.encoder == seen.percept.parts[0].encoded_by == encoder.version
    assert encoder.asked == ["Who was Ada?"]
    np.testing.assert_allclose(seen.vector, (await encoder.encode(["Who was Ada?"]))[0], atol=1e-6)


async def test_parts_come_back_with_what_they_really_are(perceiver: PartPerceiver, blobs: ObstoreBlobs):
    ref = await blobs.put_bytes(samples.sound())

    seen = await perceiver.perceive([Part(text="What is in here?"), inline(samples.picture()), Part(ref=ref)])

    assert [part.modality for part in seen.parts] == [Modality.TEXT, Modality.IMAGE, Modality.AUDIO]
    assert [part.media_type for part in seen.parts] == ["text/plain", "image/png", "audio/wav"]
    assert seen.percept.modalities == (Modality.TEXT, Modality.IMAGE, Modality.AUDIO)
    assert [part.index for part in seen.percept.parts] == [0, 1, 2]
    assert [part.lacks for part in seen.percept.parts] == [(), ("image",), ("audio",)]
    assert [part.encoded_by is None for part in seen.percept.parts] == [False, True, True]


async def test_attachments_speak_with_their_kind_name_and_columns(perceiver: PartPerceiver, encoder: Listening):
    await perceiver.perceive([Part(text="Who sold most?"), inline(samples.CSV, "sales.csv"), inline(samples.pdf())])

    assert encoder.asked[0] == "Who sold most?"
    assert encoder.asked[1] == "attached: data table sales.csv with columns city population, document A report"


async def test_the_instruction_weighs_most_and_attached_texts_share_one_weight(perceiver: PartPerceiver, blobs):
    parts = [Part(text="Sum up"), inline(b"first story", "a.txt"), inline(b"second story", "b.txt")]
    looks = [await PartInspector(blobs).inspect(index, part) for index, part in enumerate(parts)]

    assert words_of(parts, looks) == [
        Words("Sum up", 1.0, "instruction"),
        Words("attached: text a.txt, text b.txt", ATTACHMENT_LINE_WEIGHT, "attachments"),
        Words("first story", ATTACHMENT_TEXT_WEIGHT / 2, "part 1 (text)"),
        Words("second story", ATTACHMENT_TEXT_WEIGHT / 2, "part 2 (text)"),
    ]


async def test_a_picture_alone_still_has_a_vector_and_says_what_it_lacks(perceiver: PartPerceiver, encoder: Listening):
    seen = await perceiver.perceive([inline(samples.picture(), "invoice.png")])

    assert encoder.asked == ["attached: image invoice.png"]
    assert seen.vector is not None
    assert seen.percept.parts[0].lacks == ("image",)


async def test_a_text_file_alone_speaks_for_itself(blobs: ObstoreBlobs):
    part = inline(b"Who was Ada Lovelace?", "question.txt")

    words = words_of([part], [await PartInspector(blobs).inspect(0, part)])

    assert max(words, key=lambda each: each.weight).text == "Who was Ada Lovelace?"


async def test_a_megabyte_of_text_says_how_much_of_it_the_vector_is_made_of(perceiver: PartPerceiver, encoder, blobs):
    text = "alpha beta gamma " * 65_000
    ref = await blobs.put_bytes(text.encode())

    seen = await perceiver.perceive([Part(text=text), Part(ref=ref, name="long.txt"), Part(text="short")])

    assert [part.facts.get("encoded_characters_max") for part in seen.percept.parts] == [6000, 1000, None]
    assert len(encoder.asked[-1]) == 1000


async def test_blank_words_alone_have_no_vector(perceiver: PartPerceiver):
    seen = await perceiver.perceive([text_part("  \n")])

    assert seen.vector is None
    assert seen.percept.encoder is None


async def test_the_same_task_is_remembered_whole(perceiver: PartPerceiver, encoder: Listening):
    parts = [text_part("Say hello"), inline(samples.picture(), "x.png")]

    first = await perceiver.perceive(parts)
    again = await perceiver.perceive(parts)

    assert (first.percept.cached, again.percept.cached) == (False, True)
    assert again.percept.parts == first.percept.parts
    assert again.vector is first.vector
    assert again.parts == first.parts
    assert len(encoder.asked) == 2


async def test_a_known_part_keeps_its_look_at_another_place_in_another_task(perceiver: PartPerceiver):
    picture = inline(samples.picture(), "x.png")
    await perceiver.perceive([picture])

    seen = await perceiver.perceive([text_part("What is it?"), picture])

    assert seen.percept.parts[1].index == 1
    assert seen.percept.parts[1].facts["width_px"] == 64
    assert not seen.percept.cached


async def test_the_same_content_under_another_claim_is_looked_at_again(perceiver: PartPerceiver):
    await perceiver.perceive([inline(samples.picture(), "x.png")])

    with pytest.raises(UnreadablePart, match=r"part 1 \(x\.txt\): it is named x\.txt"):
        await perceiver.perceive([text_part("Read"), inline(samples.picture(), "x.txt")])


async def test_a_remembered_reference_that_is_gone_is_missing(perceiver: PartPerceiver, blobs: ObstoreBlobs):
    ref = await blobs.put_bytes(samples.picture())
    await perceiver.perceive([Part(ref=ref)])
    (await blobs.local_path(ref)).unlink()

    with pytest.raises(BlobNotFound):
        await perceiver.perceive([Part(ref=ref)])


async def test_a_remembered_task_costs_less_than_a_fifth_of_a_millisecond(perceiver: PartPerceiver):
    parts = [text_part("What is the capital of France and how many people live there?")]
    await perceiver.perceive(parts)

    rounds = []
    for _ in range(20):
        started = time.process_time()
        for _ in range(50):
            await perceiver.perceive(parts)
        rounds.append((time.process_time() - started) / 50)

    assert min(rounds) < 0.0002


async def test_many_tasks_at_once_are_perceived_each_as_itself(perceiver: PartPerceiver):
    tasks = [[text_part(f"task {n % 5}"), inline(samples.picture(size=(n % 5 + 1, 9)))] for n in range(40)]

    seen = await asyncio.gather(*map(perceiver.perceive, tasks))

    assert [each.percept.parts[1].facts["width_px"] for each in seen] == [n % 5 + 1 for n in range(40)]


async def test_warm_perception_never_leaves_the_event_loop(blobs: ObstoreBlobs, encoder: Listening):
    perceiver = PartPerceiver(blobs, CachedTextEncoder(encoder), PartInspector(blobs))
    await perceiver.perceive([text_part("warm")])

    with pytest.raises(StopIteration):
        perceiver.perceive([text_part("warm")]).send(None)


async def test_a_hundred_columns_are_not_all_said(blobs: ObstoreBlobs):
    wide = (",".join(f"column{n}" for n in range(100)) + "\n" + ",".join("1" * 100) + "\n").encode()
    part = inline(wide, "wide.csv")

    look = await PartInspector(blobs).inspect(0, part)

    assert len(described(part, look.percept).split()) < 20
    assert len(look.percept.facts["column_names"]) == 50


def test_the_least_recently_used_is_forgotten_first():
    memory: Lru[int] = Lru(2)
    memory.put(b"a", 1)
    memory.put(b"b", 2)
    memory.get(b"a")
    memory.put(b"c", 3)

    assert [memory.get(key) for key in (b"a", b"b", b"c")] == [1, None, 3]

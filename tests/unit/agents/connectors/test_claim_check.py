"""Large content leaves messages and comes back as references."""

from datetime import timedelta

import pytest

from agents.connectors.claim_check import checked_in, lightened, with_urls
from agents.errors import BadReply
from schemas.base import now
from schemas.invocation import Invocation, InvocationReply
from schemas.parts import INLINE_LIMIT_BYTES, BlobRef, Modality, Part, data_part, text_part
from tensor_layer.storage.blobs import ObstoreBlobs


@pytest.fixture
def blobs() -> ObstoreBlobs:
    return ObstoreBlobs.from_url("memory://")


def ask(*inputs: Part) -> Invocation:
    return Invocation(
        step_id="t.n",
        task_id="t",
        tenant="default",
        agent_id="peer",
        skill_id="do",
        goal="g",
        inputs=inputs,
        deadline=now() + timedelta(seconds=9),
    )


def reply(*outputs: Part) -> InvocationReply:
    return InvocationReply(step_id="t.n", outputs=outputs)


async def test_a_small_reply_is_the_very_same_object(blobs: ObstoreBlobs) -> None:
    small = reply(text_part("hello"), data_part(b"\x00" * 1000, Modality.IMAGE, "image/png"))
    assert await checked_in(small, ask(), blobs) is small


@pytest.mark.parametrize("size", [INLINE_LIMIT_BYTES - 1, INLINE_LIMIT_BYTES, INLINE_LIMIT_BYTES + 1])
@pytest.mark.parametrize("binary", [True, False])
async def test_the_limit_counts_bytes_of_content(blobs: ObstoreBlobs, size: int, binary: bool) -> None:
    content = b"\x07" * size
    part = data_part(content, Modality.IMAGE, "image/png", "a.png") if binary else text_part(content.decode(), "a.txt")
    (out,) = (await checked_in(reply(part), ask(), blobs)).outputs
    assert (out.ref is not None) == (size > INLINE_LIMIT_BYTES)
    assert (out.name, out.modality, out.media_type) == (part.name, part.modality, part.media_type)
    if out.ref is not None:
        assert await blobs.get(out.ref) == content


async def test_text_is_measured_in_bytes_not_characters(blobs: ObstoreBlobs) -> None:
    wide = text_part("ß" * (INLINE_LIMIT_BYTES // 2 + 1))
    (out,) = (await checked_in(reply(wide), ask(), blobs)).outputs
    assert out.ref is not None
    assert (await blobs.get(out.ref)).decode() == wide.text


async def test_only_the_large_outputs_are_moved(blobs: ObstoreBlobs) -> None:
    large, small = text_part("x" * (INLINE_LIMIT_BYTES + 1)), text_part("small")
    outputs = (await checked_in(reply(large, small), ask(), blobs)).outputs
    assert [part.ref is not None for part in outputs] == [True, False]


async def test_an_agent_s_reference_loses_its_url_and_must_exist(blobs: ObstoreBlobs) -> None:
    ref = await blobs.put_bytes(b"stored")
    elsewhere = Part(ref=ref.model_copy(update={"url": "http://169.254.169.254/"}))
    (out,) = (await checked_in(reply(elsewhere), ask(), blobs)).outputs
    assert out.ref == ref
    with pytest.raises(BadReply, match="not in the object store"):
        await checked_in(reply(Part(ref=BlobRef(digest="sha256:" + "0" * 64, size_bytes=3))), ask(), blobs)


async def test_a_request_becomes_lighter_by_its_largest_inputs_first(blobs: ObstoreBlobs) -> None:
    small, middle, large = (text_part("x" * size, f"{size}.txt") for size in (10, 1000, 5000))
    inputs = (await lightened(ask(small, large, middle), 1500, blobs)).inputs
    assert [part.ref is not None for part in inputs] == [False, True, False]
    assert inputs[1].ref is not None
    assert await blobs.get(inputs[1].ref) == b"x" * 5000


def test_references_get_a_place_to_be_fetched_from() -> None:
    ref = BlobRef(digest="sha256:" + "0" * 64, size_bytes=3)
    given = Part(ref=ref.model_copy(update={"url": "http://given/"}))
    filled = with_urls(ask(text_part("t"), Part(ref=ref), given), lambda ref: f"http://gateway/{ref.digest}")
    urls = [part.ref.url if part.ref else None for part in filled.inputs]
    assert urls == [None, f"http://gateway/{ref.digest}", "http://given/"]


def test_an_invocation_without_references_is_not_copied() -> None:
    invocation = ask(text_part("t"))
    assert with_urls(invocation, lambda ref: "http://gateway/") is invocation


async def test_a_request_is_lightened_by_its_bytes_not_by_its_characters(blobs: ObstoreBlobs) -> None:
    """Each part is small enough to travel inline; together they are too many bytes, though not too many characters."""
    limit = 500_000
    for character in ("\u8a9e", "\x01"):  # three bytes of UTF-8, six of JSON
        inputs = [text_part(character * 80_000, f"{number}.txt") for number in range(5)]
        lighter = await lightened(ask(*inputs), limit, blobs)
        assert len(lighter.model_dump_json()) <= len(lighter.model_dump_json().encode()) <= limit + 4_000
        assert any(part.text is not None for part in lighter.inputs), "only as many as have to go"


@pytest.mark.timeout(60)
async def test_many_small_inputs_are_not_made_heavier_one_by_one(blobs: ObstoreBlobs) -> None:
    inputs = [text_part(f"line {number}", f"{number}.txt") for number in range(30_000)]
    large = text_part("x" * 200_000, "large.txt")
    lighter = await lightened(ask(large, *inputs), 100_000, blobs)
    assert [part.ref is not None for part in lighter.inputs] == [True] + [False] * 30_000

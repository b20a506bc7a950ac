"""One behaviour for every text encoder: in process, over the bus, and either of them cached."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from nats.aio.client import Client

from tensor_layer.bus import PerceptionService
from tensor_layer.encoding.batching import BatchingEncoder
from tensor_layer.encoding.cache import CachedTextEncoder
from tensor_layer.encoding.minilm import MiniLm
from tensor_layer.encoding.remote import RemoteTextEncoder
from tensor_layer.ports import TextEncoder


@pytest.fixture(scope="session")
def minilm() -> MiniLm:
    return MiniLm.packaged()


@pytest.fixture(params=["local", "local, cached", "remote", "remote, cached"])
async def encoder(request: pytest.FixtureRequest, minilm: MiniLm, nc: Client) -> AsyncIterator[TextEncoder]:
    local = BatchingEncoder(minilm)
    made: TextEncoder = local
    service = PerceptionService(nc, local)
    if request.param.startswith("remote"):
        await service.start()
        made = await RemoteTextEncoder.discover(nc)
    yield CachedTextEncoder(made) if request.param.endswith("cached") else made
    await service.stop()
    local.close()


async def test_rows_are_unit_vectors_in_the_order_of_the_texts(encoder: TextEncoder):
    texts = ["read a scanned page", "", "weather in Paris", "read a scanned page", "naïve 漢字 🎉 \x00 \ud800"]

    vectors = await encoder.encode(texts)

    assert vectors.shape == (5, encoder.version.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(vectors[0], vectors[3])
    for row, text in enumerate(texts):
        np.testing.assert_allclose((await encoder.encode([text]))[0], vectors[row], atol=1e-5)


async def test_the_version_says_which_weights_make_the_vectors(encoder: TextEncoder, minilm: MiniLm):
    assert encoder.version == minilm.version


async def test_every_road_gives_the_same_vectors(encoder: TextEncoder, minilm: MiniLm):
    texts = ["draw a bar chart", "which language is this?"]

    np.testing.assert_allclose(await encoder.encode(texts), minilm.encode(texts), atol=1e-5)


async def test_no_texts_are_no_rows(encoder: TextEncoder):
    assert (await encoder.encode([])).shape == (0, 384)


async def test_more_texts_than_one_message_carries(encoder: TextEncoder):
    texts = [str(number) for number in range(300)]

    vectors = await encoder.encode(texts)

    assert vectors.shape == (300, 384)
    np.testing.assert_allclose(vectors[299], (await encoder.encode(texts[299:]))[0], atol=1e-5)


async def test_texts_of_a_megabyte_pass_and_count_by_their_beginning(encoder: TextEncoder):
    start = "the beginning of a long story " * 300

    vectors = await encoder.encode([start + "\x00" * 1_000_000, start + "x" * 1_000_000])

    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)


async def test_many_callers_at_once_get_their_own_rows(encoder: TextEncoder):
    rows = await asyncio.gather(*(encoder.encode([f"caller {number % 20}"]) for number in range(100)))

    for number, row in enumerate(rows):
        np.testing.assert_allclose(row, rows[number % 20], atol=1e-5)
    assert abs(float(rows[0][0] @ rows[1][0])) < 0.999


async def test_the_event_loop_goes_on_while_vectors_are_made(encoder: TextEncoder):
    await encoder.encode(["warm"])
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            beats += 1
            await asyncio.sleep(0)

    heart = asyncio.create_task(beat())
    await encoder.encode([f"{number} " + "words and more words " * 10 for number in range(8)])
    heart.cancel()

    assert beats > 20

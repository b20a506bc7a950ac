"""OpenAI's /v1/embeddings over a real bus: texts, pictures and sounds, with the openai client and without."""

import base64
import itertools
import struct
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nats.aio.client import Client
from nats.js import JetStreamContext

from schemas.parts import Modality
from schemas.percept import EncoderVersion
from tensor_layer.bus import PerceptionService
from tensor_layer.encoding.batching import BatchingEncoder
from tensor_layer.encoding.parts import LocalPartEncoder
from tensor_layer.encoding.pictures import decode_picture
from tensor_layer.encoding.sounds import decode_sound
from tensor_layer.ports import EncoderCard, Picture, Sound, Vector
from tensor_layer.storage.blobs import ObstoreBlobs
from tests.integration.http_door import in_process, open_app, served
from tests.unit.tensor_layer import samples

DIMENSION = 8


class Letters:
    """A text's vector counts its letters' remainders: the same text, the same direction."""

    version = EncoderVersion(name="letters", version="1", dimension=DIMENSION)

    async def encode(self, texts: Sequence[str]) -> Vector:
        rows = np.zeros((len(texts), DIMENSION), np.float32)
        for row, text in zip(rows, texts, strict=True):
            for character in text:
                row[ord(character) % DIMENSION] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Redness:
    """In the space of letters: how red a picture is."""

    version = EncoderVersion(name="redness", version="1", dimension=DIMENSION)
    card = EncoderCard(version, Modality.IMAGE, "float32", "cpu", "MIT", "letters@1")

    def tokens_of(self, content: Picture) -> int:
        return 1

    def encode(self, contents: Sequence[Picture]) -> Vector:
        rows = [np.asarray(picture).mean((0, 1)) + 1 for picture in contents]
        return np.array([np.pad(row, (0, 5)) / np.linalg.norm(row) for row in rows], dtype=np.float32)


class Loudness:
    """In a space of its own. What is silent is strange to it."""

    version = EncoderVersion(name="loudness", version="1", dimension=2)
    card = EncoderCard(version, Modality.AUDIO, "float32", "cpu", "MIT")

    def tokens_of(self, content: Sound) -> int:
        return 1

    def encode(self, contents: Sequence[Sound]) -> Vector:
        angles = np.array([np.abs(sound).mean() for sound in contents])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    def encode_discerning(self, contents: Sequence[Sound]) -> Vector:
        familiarity = [[0.5 if np.abs(sound).max() > 0.01 else 0.0] for sound in contents]
        return np.hstack([self.encode(contents), np.array(familiarity, np.float32)])


@pytest.fixture
async def app(nc: Client, js: JetStreamContext, tmp_path: Path) -> AsyncIterator[FastAPI]:
    app = await open_app(nc, js, tmp_path)
    blobs = ObstoreBlobs.from_url((tmp_path / "blobs").as_uri())
    senses = {
        Modality.IMAGE: LocalPartEncoder(blobs, BatchingEncoder(Redness()), decode_picture),
        Modality.AUDIO: LocalPartEncoder(blobs, BatchingEncoder(Loudness()), decode_sound),
    }
    card = EncoderCard(Letters.version, Modality.TEXT, "float32", "cpu", "Apache-2.0")
    service = PerceptionService(nc, Letters(), senses, card)
    await service.start()
    yield app
    await service.stop()


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with in_process(app) as client:
        yield client


def data_url(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


async def test_the_openai_client_gets_vectors_in_both_encodings(app: FastAPI):
    async with served(app) as door:
        openai_client = openai.AsyncOpenAI(base_url=f"{door.base_url}/v1", api_key="none", max_retries=0)
        as_base64 = await openai_client.embeddings.create(model="letters", input=["ab", "ba", "xyz"])
        as_floats = await openai_client.embeddings.create(
            model="letters", input="ab", encoding_format="float", dimensions=4
        )
        await openai_client.close()

    rows = np.array([item.embedding for item in as_base64.data])
    np.testing.assert_allclose(rows, await Letters().encode(["ab", "ba", "xyz"]), atol=1e-6)
    assert [item.index for item in as_base64.data] == [0, 1, 2]
    assert as_base64.model == "letters"
    assert as_base64.usage.total_tokens == as_base64.usage.prompt_tokens > 0
    assert len(as_floats.data[0].embedding) == 4
    assert np.linalg.norm(as_floats.data[0].embedding) == pytest.approx(1, abs=1e-6)


async def test_base64_is_little_endian_float32(client: httpx.AsyncClient):
    reply = await client.post("/v1/embeddings", json={"model": "aos", "input": "a", "encoding_format": "base64"})

    numbers = struct.unpack(f"<{DIMENSION}f", base64.b64decode(reply.json()["data"][0]["embedding"]))
    assert list(numbers) == (await Letters().encode(["a"]))[0].tolist()


async def test_pictures_come_as_data_urls_and_chat_parts_beside_texts(client: httpx.AsyncClient):
    url = data_url(samples.picture())
    large = data_url(samples.picture("BMP", size=(500, 500)), "image/bmp").replace("data:image/bmp", "DATA:image/BMP")
    inputs = ["what is red", url, {"type": "image_url", "image_url": {"url": url}}, large]

    reply = await client.post("/v1/embeddings", json={"model": "letters@1", "input": inputs})

    assert reply.status_code == 200, reply.text
    vectors = [item["embedding"] for item in reply.json()["data"]]
    assert vectors[1] == vectors[2] != vectors[3]
    assert [encoder["space"] for encoder in reply.json()["encoders"]] == ["letters@1", "letters@1"]


async def test_sounds_have_vectors_in_a_space_of_their_own(client: httpx.AsyncClient):
    content = base64.b64encode(samples.sound()).decode()
    part = {"type": "input_audio", "input_audio": {"data": content, "format": "wav"}}

    reply = await client.post("/v1/embeddings", json={"model": "loudness", "input": [part]})
    mixed = await client.post("/v1/embeddings", json={"model": "aos", "input": [part, "a text"]})

    assert len(reply.json()["data"][0]["embedding"]) == 2
    assert mixed.status_code == 422
    assert "different spaces" in mixed.json()["detail"]


async def test_every_encoder_says_what_it_is(client: httpx.AsyncClient):
    reply = await client.post("/v1/embeddings", json={"model": "aos", "input": ["red", data_url(samples.picture())]})

    about = {"version": "1", "dimension": DIMENSION, "space": "letters@1", "dtype": "float32", "device": "cpu"}
    assert reply.json()["encoders"] == [
        {"modality": "text", "name": "letters", "licence": "Apache-2.0", **about},
        {"modality": "image", "name": "redness", "licence": "MIT", **about},
    ]


async def test_contents_that_the_encoder_does_not_know_are_named(client: httpx.AsyncClient):
    known, silent = samples.sound(), samples.sound(0.5)[:44] + bytes(16_000)
    inputs = [data_url(content, "audio/wav") for content in (known, silent)]

    reply = await client.post("/v1/embeddings", json={"model": "aos", "input": inputs})

    assert reply.json()["unfamiliar"] == [1]
    assert len(reply.json()["data"]) == 2


async def test_what_is_too_large_for_a_body_is_uploaded_first_and_referred_to(client: httpx.AsyncClient):
    studio = samples.sound(2.0, rate_hz=192_000, channels=8)
    sent = await client.post("/v1/embeddings", json={"model": "aos", "input": data_url(studio * 2, "audio/wav")})
    ref = (await client.post("/v1/blobs", content=studio)).json()
    part = {"type": "ref", "modality": "audio", "ref": ref}

    by_ref = await client.post("/v1/embeddings", json={"model": "loudness", "input": part})
    nowhere = part | {"ref": ref | {"digest": f"sha256:{'0' * 64}"}}
    lost = await client.post("/v1/embeddings", json={"model": "loudness", "input": [nowhere]})

    assert (sent.status_code, "POST /v1/blobs" in sent.json()["next_step"]) == (413, True)
    assert by_ref.status_code == 200, by_ref.text
    assert len(by_ref.json()["data"][0]["embedding"]) == 2
    assert (lost.status_code, lost.json()["code"]) == (404, "attachment_missing")


async def test_texts_whose_end_is_not_read_are_named(client: httpx.AsyncClient):
    reply = await client.post("/v1/embeddings", json={"model": "aos", "input": ["short", "long " * 2000]})

    assert reply.json()["cut"] == [1]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"input": "a"}, 422, "model"),
        ({"model": "aos"}, 422, "input"),
        ({"model": "aos", "input": []}, 422, "0 inputs"),
        ({"model": "aos", "input": ""}, 422, "empty text"),
        ({"model": "aos", "input": ["a", " "]}, 422, "input[1]"),
        ({"model": "aos", "input": ["a"] * 2049}, 422, "2049 inputs"),
        ({"model": "aos", "input": [1, 2, 3]}, 422, "token numbers"),
        ({"model": "aos", "input": [[1, 2, 3]]}, 422, "token numbers"),
        ({"model": "aos", "input": "a", "dimensions": 0}, 422, "dimensions"),
        ({"model": "aos", "input": "a", "dimensions": 9}, 422, "the vectors have 8"),
        ({"model": "aos", "input": "a", "encoding_format": "hex"}, 422, "encoding_format"),
        ({"model": "text-embedding-3-small", "input": "a"}, 404, "letters"),
        ({"model": "aos", "input": "data:image/png;base64,%%%"}, 422, "base64 is damaged"),
        ({"model": "aos", "input": "data:image/png;base64,"}, 422, "0 bytes"),
        ({"model": "aos", "input": "data:application/pdf;base64,JVBERi0="}, 422, "no data URL of a picture or a sound"),
        ({"model": "aos", "input": "data:image/svg+xml,<svg/>"}, 422, "no data URL of a picture or a sound"),
        (
            {"model": "aos", "input": [{"type": "image_url", "image_url": {"url": "http://x/y.png"}}]},
            422,
            "not fetched",
        ),
        ({"model": "aos", "input": data_url(samples.EXE)}, 422, "no image: its content is a file that is not decoded"),
        ({"model": "aos", "input": data_url(samples.SVG)}, 422, "no image: its content is an SVG drawing"),
        (
            {"model": "aos", "input": data_url(samples.picture()[:900])},
            422,
            "the image (image/png) is damaged or cut off",
        ),
        ({"model": "aos", "input": data_url(samples.sound()[:20], "audio/wav")}, 422, "the sound is cut off"),
        ({"model": "aos", "input": {"type": "ref", "modality": "text", "ref": {}}}, 422, "modality"),
    ],
    ids=itertools.count(),
)
async def test_what_cannot_be_encoded_is_refused_with_the_place_and_the_reason(
    client: httpx.AsyncClient, body: dict[str, object], status: int, words: str
):
    reply = await client.post("/v1/embeddings", json=body)

    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    assert words in reply.text


async def test_without_a_perception_service_the_door_says_what_to_start(
    nc: Client, js: JetStreamContext, tmp_path: Path
):
    async with in_process(await open_app(nc, js, tmp_path)) as client:
        reply = await client.post("/v1/embeddings", json={"model": "aos", "input": "a"})

    assert (reply.status_code, reply.json()["code"]) == (503, "encoder_unavailable")
    assert "aos serve --role perception" in reply.json()["detail"]


async def test_a_service_that_came_back_with_another_encoder_is_asked_again(nc: Client, app: FastAPI, client):
    assert (await client.post("/v1/embeddings", json={"model": "aos", "input": "a"})).status_code == 200
    version = EncoderVersion(name="letters", version="2", dimension=DIMENSION)
    before, Letters.version = Letters.version, version
    try:
        reply = await client.post("/v1/embeddings", json={"model": "letters", "input": "a"})
    finally:
        Letters.version = before

    assert reply.json()["encoders"][0]["version"] == "2"


STEADY = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,  # the same inputs in every run; `tests/fuzz` looks for new ones
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
URLS = st.builds(
    lambda media_type, content: data_url(content, media_type),
    st.sampled_from(["image/png", "audio/wav", "image/jpeg", "text/plain"]),
    st.binary(max_size=200) | st.sampled_from([samples.picture()[:500], samples.sound(0.01), samples.picture()]),
)
BODIES = st.fixed_dictionaries(
    {"model": st.just("aos") | JSON, "input": st.text(max_size=60) | URLS | st.lists(URLS | JSON, max_size=3) | JSON},
    optional={"dimensions": st.integers(-2, 12) | JSON, "encoding_format": st.sampled_from(["float", "base64"]) | JSON},
)


@STEADY
@given(body=BODIES)
async def test_any_json_is_answered_or_refused(client: httpx.AsyncClient, body: dict[str, object]):
    reply = await client.post("/v1/embeddings", json=body)

    assert reply.status_code in (200, 400, 404, 422), reply.text
    assert reply.json()


@STEADY
@given(
    body=st.binary(max_size=300),
    head=st.sampled_from(
        [b"", b"--x\r\n", b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n']
    ),
    tail=st.sampled_from([b"", b"\r\n--x--\r\n", b"\r\n--x\r\n"]),
    media_type=st.sampled_from(["multipart/form-data; boundary=x", "multipart/form-data", "application/json", "a/b"]),
)
async def test_any_upload_is_accepted_or_refused(
    client: httpx.AsyncClient, body: bytes, head: bytes, tail: bytes, media_type: str
):
    content = head + b"\r\n" * bool(head) + body + tail

    for path in ("/v1/tasks", "/v1/blobs", "/v1/embeddings"):
        reply = await client.post(path, content=content, headers={"Content-Type": media_type})
        assert reply.status_code in (201, 202, 400, 413, 415, 422), reply.text

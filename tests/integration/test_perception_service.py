"""The perception service on a real bus: who answers, what is refused, what a client sees when nobody is there."""

import asyncio
import base64
import threading
from collections.abc import Sequence

import nats
import numpy as np
import pytest
from nats.aio.client import Client

from gateway.bus.connection import connect
from gateway.embedded.nats_server import NatsServer
from schemas import subjects
from schemas.parts import Modality, Part, text_part
from schemas.percept import EncoderVersion
from schemas.tensor import EncodeReply, EncodeRequest
from tensor_layer.bus import PerceptionService
from tensor_layer.encoding.batching import BatchingEncoder
from tensor_layer.encoding.remote import RemoteTextEncoder
from tensor_layer.errors import EncoderUnavailable, VersionMismatch
from tensor_layer.ports import EncoderCard, Vector
from tensor_layer.wiring import remote_text_encoder

SUBJECT = subjects.encode(Modality.TEXT)


class Measure:
    """A real, tiny model: a text's vector says how long it is. Counts its batches and waits at a gate."""

    def __init__(self, version: str = "1") -> None:
        self.version = EncoderVersion(name="measure", version=version, dimension=2)
        self.card = EncoderCard(self.version, Modality.TEXT, "float32", "cpu", "Apache-2.0")
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def tokens_of(self, content: str) -> int:
        return len(content) // 4 + 2

    def encode(self, texts: Sequence[str]) -> Vector:
        self.gate.wait(10)
        if "poison" in texts:
            raise EncoderUnavailable("the weights are gone")
        self.batches.append(len(texts))
        angles = np.array([len(text) for text in texts], dtype=np.float32)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)


async def ask(nc: Client, body: bytes) -> EncodeReply:
    return EncodeReply.model_validate_json((await nc.request(SUBJECT, body, timeout=30)).data)


def request_of(*parts: Part) -> bytes:
    return EncodeRequest(modality=Modality.TEXT, parts=parts).model_dump_json().encode()


async def test_any_nats_client_gets_vectors_as_base64_floats(nc: Client):
    service = PerceptionService(nc, BatchingEncoder(Measure()))
    await service.start()

    reply = await ask(nc, request_of(text_part("abc"), text_part("")))

    numbers = np.frombuffer(base64.b64decode(reply.vectors), dtype="<f4").reshape(reply.count, 2)
    np.testing.assert_allclose(numbers, [[np.cos(3), np.sin(3)], [1, 0]], atol=1e-6)
    assert reply.encoder == EncoderVersion(name="measure", version="1", dimension=2)
    await service.stop()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"{", "invalid_request"),
        (b"", "invalid_request"),
        (b"\xff\x00", "invalid_request"),
        (b'{"modality": "image", "parts": []}', "unsupported_part"),
        (b'{"modality": "text", "parts": [{"text": "a"}], "surprise": 1}', "invalid_request"),
        (request_of(Part(data="AAAA")), "unsupported_part"),
        (request_of(text_part("poison")), "encoder_unavailable: the weights are gone"),
    ],
)
async def test_every_request_is_answered_even_the_ones_that_are_wrong(nc: Client, body: bytes, problem: str):
    service = PerceptionService(nc, BatchingEncoder(Measure()))
    await service.start()

    assert (await ask(nc, body)).error.startswith(problem)
    assert (await ask(nc, request_of(text_part("fine")))).error is None
    await service.stop()


async def test_requests_in_flight_share_batches(nc: Client):
    model = Measure()
    service = PerceptionService(nc, BatchingEncoder(model))
    await service.start()
    remote = await RemoteTextEncoder.discover(nc)
    model.batches.clear()
    model.gate.clear()

    asked = [asyncio.create_task(remote.encode([f"text {number}"])) for number in range(60)]
    await asyncio.sleep(0.2)  # for all of them to reach the service, which has no event to tell of it
    model.gate.set()
    await asyncio.gather(*asked)

    assert sum(model.batches) == 60
    assert len(model.batches) < 10
    await service.stop()


async def test_two_services_share_the_work(nc: Client, nats_server: NatsServer):
    other = await connect(nats_server.url, "other")
    models = Measure(), Measure()
    services = [PerceptionService(nc, BatchingEncoder(models[0])), PerceptionService(other, BatchingEncoder(models[1]))]
    for service in services:
        await service.start()
    remote = await RemoteTextEncoder.discover(nc)

    for number in range(60):
        await remote.encode([f"text {number}"])

    assert sum(map(len, (model.batches for model in models))) == 63  # one 'ready' each, and one to discover
    assert min(len(model.batches) for model in models) > 5
    for service in services:
        await service.stop()
    await other.close()


async def test_without_a_service_the_client_says_how_to_start_one(nc: Client):
    with pytest.raises(EncoderUnavailable, match="aos serve --role perception"):
        await remote_text_encoder(nc)


async def test_a_service_that_stops_answers_what_it_has_and_leaves_the_connection_open(nc: Client):
    model = Measure()
    service = PerceptionService(nc, BatchingEncoder(model))
    await service.start()
    remote = await RemoteTextEncoder.discover(nc)
    model.gate.clear()
    under_way = asyncio.create_task(remote.encode(["under way"]))
    await nc.flush()
    await nc.flush()

    stopping = asyncio.create_task(service.stop())
    await asyncio.sleep(0)
    model.gate.set()
    await stopping

    assert (await under_way).shape == (1, 2)
    assert nc.is_connected
    with pytest.raises(EncoderUnavailable, match="nobody answers"):
        await remote.encode(["too late"])


async def test_a_service_that_hangs_is_given_up_in_time(nc: Client):
    model = Measure()
    service = PerceptionService(nc, BatchingEncoder(model))
    await service.start()
    remote = RemoteTextEncoder(nc, model.version, timeout_s=0.1)
    model.gate.clear()

    with pytest.raises(EncoderUnavailable, match="does not answer"):
        await remote.encode(["slow"])

    model.gate.set()
    await service.stop()


async def test_vectors_of_another_encoder_are_never_mixed_in(nc: Client):
    first = PerceptionService(nc, BatchingEncoder(Measure("1")))
    await first.start()
    remote = await RemoteTextEncoder.discover(nc)
    await first.stop()
    second = PerceptionService(nc, BatchingEncoder(Measure("2")))
    await second.start()

    with pytest.raises(VersionMismatch, match=r"answers with measure 2 .2 numbers.*restart this process"):
        await remote.encode(["a"])
    await second.stop()


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage",
        b'{"count": 1, "vectors": "!!"}',
        b'{"encoder": {"name": "measure", "version": "1", "dimension": 2}, "count": 1, "vectors": "!!"}',
        b'{"encoder": {"name": "measure", "version": "1", "dimension": 2}, "count": 1, "vectors": "AAAA"}',
        b'{"encoder": {"name": "measure", "version": "1", "dimension": 2}, "count": 0, "vectors": ""}',
        b'{"error": "no"}',
    ],
)
async def test_a_service_that_answers_garbage_is_not_believed(nc: Client, answer: bytes):
    async def garbage(message: nats.aio.msg.Msg) -> None:
        await message.respond(answer)

    await nc.subscribe(SUBJECT, queue=subjects.QUEUE_PERCEPTION, cb=garbage)

    with pytest.raises(EncoderUnavailable):
        await RemoteTextEncoder(nc, Measure().version).encode(["a"])

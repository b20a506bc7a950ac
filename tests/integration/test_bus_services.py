"""The request/reply services on a real bus: whatever is asked is answered, and who asked wrongly is told what to do."""

import json

import numpy as np
import pytest

from agents.errors import FilterContradiction, IndexUnavailable
from agents.evolving.live.service import RefinementService
from agents.services import BusServices
from schemas import subjects
from schemas.candidate import MatchReport
from schemas.explain import Explanation, SearchReply
from schemas.field_problems import FIELDS_MAX
from schemas.json_bodies import VALUES_MAX
from schemas.parts import Modality
from schemas.percept import EncoderVersion
from schemas.problem import Problem
from schemas.refinement import RefineReply
from schemas.tensor import EncodeReply
from tensor_layer.bus import PerceptionService
from tensor_layer.encoding.batching import BatchingEncoder
from tensor_layer.errors import EncoderUnavailable
from tensor_layer.ports import EncoderCard
from tests.integration.http_door import in_process, open_app

WITHIN_S = 30.0

NO_JSON = (
    b"",
    b"{",
    b"\xff\x00",
    b"what?",
    b'{"text": NaN',
    b'{"text": "\xc3"}',
    b'{"text": ' + b"[" * 5000 + b"]" * 5000 + b"}",
)
NO_REQUEST = (
    b"null",
    b"[]",
    b'"text"',
    b"7",
    b"{}",
    b'{"surprise": 1}',
    b'{"tenant": 7, "text": 7, "task": 7, "parts": 7, "modality": 7}',
    b'{"text": "a", "limit": 1e99, "task": {"parts": []}}',
    b'{"text": ' + b"[" * 100 + b"]" * 100 + b"}",
    json.dumps({"text": "a" * 500_000, "task": {"parts": [{"text": 1}] * 1000}}).encode(),
)
MANY = (
    b'{"parts": [' + b",".join([b"{}"] * 1_000_000) + b"]}",
    b"{" + b",".join(b'"a%d":1' % number for number in range(200_000)) + b"}",
    b"{" + b",".join(b'"a%d":1' % number for number in range(VALUES_MAX - 1)) + b"}",
    b'{"' + b"a" * 1_000_000 + b'": 1}',
    b'{"text": "' + rb"\"" * 1_000_000,
)
TENSORS = subjects.encode(Modality.TEXT)


class Broken:
    """Answers as a worker does, or raises what a test wants."""

    def __init__(self, error: Exception | None = None):
        self.error = error

    async def explain(self, task):
        if self.error is not None:
            raise self.error
        return Explanation(drawing=task.parts[0].text)

    async def search(self, request):
        if self.error is not None:
            raise self.error
        return SearchReply(report=MatchReport(goal=request.text))


class Measure:
    """A real, tiny model."""

    card = EncoderCard(EncoderVersion(name="measure", version="1", dimension=2), Modality.TEXT, "float32", "cpu", "MIT")
    error: Exception | None = None

    def tokens_of(self, content):
        return len(content) + 2

    def encode(self, texts):
        if self.error is not None and "broken" in texts:
            raise self.error
        return np.ones((len(texts), 2), dtype=np.float32)


@pytest.fixture
async def start(nats_server):
    """Starts a worker's services with those answers."""
    running = []

    async def started(answers):
        services = BusServices(nats_server.url, answers)
        await services.start()
        running.append(services)

    yield started
    for services in running:
        await services.stop()


async def ask(nc, subject, body, **headers):
    return await nc.request(subject, body, timeout=WITHIN_S, headers=headers or None)


@pytest.mark.parametrize("subject", [subjects.EXPLAIN, subjects.SEARCH])
async def test_whatever_is_wrong_is_answered_with_a_code_words_and_a_next_step(nc, start, subject):
    await start(Broken())
    for bodies, status, code in ((NO_JSON, 400, "invalid_json"), (NO_REQUEST, 422, "schema_invalid")):
        for body in bodies:
            reply = await ask(nc, subject, body)
            problem = Problem.model_validate_json(reply.data)
            assert (problem.status, problem.code) == (status, code), body[:60]
            assert (problem.type, bool(problem.detail)) == (f"urn:aos:problem:{code}", True)
            assert problem.next_step
            assert reply.headers["content-type"] == "application/problem+json"
            assert reply.headers["Nats-Service-Error"] == code
            assert reply.headers["Nats-Service-Error-Code"] == str(status)


@pytest.mark.parametrize("body", MANY)
async def test_a_request_of_a_million_mistakes_is_answered_in_few_words(nc, start, body):
    await start(Broken())
    perception = PerceptionService(nc, BatchingEncoder(Measure()))
    await perception.start()
    for subject in (subjects.EXPLAIN, subjects.SEARCH):
        reply = await ask(nc, subject, body)
        problem = Problem.model_validate_json(reply.data)
        assert (problem.status in (400, 422), len(problem.fields) <= FIELDS_MAX) == (True, True)
        assert len(reply.data) < 20_000
    assert len((await ask(nc, TENSORS, body)).data) < 20_000
    await perception.stop()


async def test_what_is_wrong_is_named_by_its_field(nc, start):
    await start(Broken())
    problem = Problem.model_validate_json((await ask(nc, subjects.SEARCH, b'{"text": "a", "limt": 5}')).data)
    assert [(field.field, field.problem) for field in problem.fields] == [("limt", "unknown field")]
    assert "limit" in problem.fields[0].expected


@pytest.mark.parametrize("text", ["", " ", "\n\t\u2003"])
async def test_a_search_for_nothing_is_refused_on_the_bus(nc, start, text):
    await start(Broken())
    reply = await ask(nc, subjects.SEARCH, json.dumps({"text": text}).encode())
    problem = Problem.model_validate_json(reply.data)
    assert (problem.status, problem.fields[0].field) == (422, "text")


async def test_a_request_is_read_whatever_its_content_type_says(nc, start):
    await start(Broken())
    for said in ("application/json", "text/plain", "application/x-protobuf", ""):
        reply = await ask(nc, subjects.SEARCH, b'{"text": "repeat"}', **{"Content-Type": said})
        assert SearchReply.model_validate_json(reply.data).report.goal == "repeat"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (FilterContradiction("no skill is both"), 422, "filter_contradiction"),
        (IndexUnavailable("the index is away"), 503, "index_unavailable"),
        (EncoderUnavailable("the weights are gone"), 503, "encoder_unavailable"),
        (KeyError("a defect"), 500, "internal_error"),
    ],
)
async def test_a_worker_that_cannot_answer_says_why_on_the_bus_and_over_http(
    nc, js, start, tmp_path, error, status, code
):
    await start(Broken(error))
    for subject, body in (
        (subjects.SEARCH, b'{"text": "a"}'),
        (subjects.EXPLAIN, b'{"task":{"parts":[{"text":"a"}]}}'),
    ):
        problem = Problem.model_validate_json((await ask(nc, subject, body)).data)
        assert (problem.status, problem.code, bool(problem.next_step)) == (status, code, True)
    async with in_process(await open_app(nc, js, tmp_path)) as client:
        told = await client.post("/v1/agents/search", json={"text": "a"})
    assert (told.status_code, told.json()["code"]) == (status, code)
    assert told.json()["next_step"]
    assert ("retry-after" in told.headers) == (status == 503)


async def test_a_defect_is_not_told_to_whoever_asks(nc, start):
    await start(Broken(KeyError("password")))
    assert b"password" not in (await ask(nc, subjects.SEARCH, b'{"text": "a"}')).data


async def test_refiners_and_encoders_answer_what_is_wrong_too(nc):
    refiner, perception = RefinementService(nc), PerceptionService(nc, BatchingEncoder(Measure()))
    await refiner.start()
    await perception.start()
    for body in NO_JSON + NO_REQUEST:
        assert RefineReply.model_validate_json((await ask(nc, subjects.REFINE, body)).data).problem
        assert EncodeReply.model_validate_json((await ask(nc, TENSORS, body)).data).error
    await refiner.stop()
    await perception.stop()


async def test_a_defect_of_an_encoder_is_answered_too(nc):
    model = Measure()
    model.error = KeyError("a defect")
    perception = PerceptionService(nc, BatchingEncoder(model))
    await perception.start()
    asked = b'{"modality": "text", "parts": [{"text": "broken"}]}'
    assert "internal_error" in EncodeReply.model_validate_json((await ask(nc, TENSORS, asked)).data).error
    await perception.stop()


def test_no_request_reply_subject_is_left_out_here():
    """Agents answer their invocations themselves: tests/examples/test_service_agents.py asks the samples wrongly."""
    asked = {route.subject for route in subjects.BUS if route.kind.startswith("request/reply")}
    covered = {subjects.EXPLAIN, subjects.SEARCH, subjects.REFINE, "aos.tensor.encode.<modality>"}
    assert asked - covered == {"aos.<t>.agent.<agent>.invoke"}

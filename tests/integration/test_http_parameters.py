"""What may come with an address: unknown parameters are refused, and the description has all that are read."""

import hashlib
import re

import pytest
from starlette.datastructures import Headers, QueryParams

from tests.integration.http_door import TinyWorker, in_process, open_app, served

CARD = {
    "id": "echo",
    "version": "1.0.0",
    "description": "says everything again",
    "skills": [{"id": "echo", "description": "repeats a text", "inputs": ["text"], "outputs": ["text"]}],
    "endpoint": {"kind": "nats"},
}
DIGEST = "sha256:" + hashlib.sha256(b"bytes").hexdigest()
OF_EVERY_REQUEST = {"accept", "content-type", "content-length", "authorization"}
"""OpenAPI 3.1 leaves these to the media types and security schemes of an operation."""

REQUESTS = {
    ("post", "/v1/tasks"): {"json": {"text": "x"}},
    ("get", "/v1/tasks"): {},
    ("get", "/v1/tasks/{task_id}"): {},
    ("get", "/v1/tasks/{task_id}/events"): {},
    ("get", "/v1/tasks/{task_id}/outputs/{index}"): {},
    ("post", "/v1/tasks/{task_id}/cancel"): {},
    ("post", "/v1/tasks/{task_id}/approve"): {},
    ("post", "/v1/tasks/{task_id}/deny"): {},
    ("post", "/v1/tasks/{task_id}/feedback"): {"json": {"score": 1}},
    ("get", "/v1/agents"): {},
    ("post", "/v1/agents"): {"json": CARD},
    ("post", "/v1/agents/search"): {"json": {"text": "x"}},
    ("get", "/v1/agents/{agent_id}"): {},
    ("delete", "/v1/agents/{agent_id}"): {},
    ("get", "/v1/agents/{agent_id}/history"): {},
    ("post", "/v1/explain"): {"json": {"text": "x"}},
    ("get", "/v1/dead"): {},
    ("get", "/v1/dead/{seq}"): {},
    ("delete", "/v1/dead/{seq}"): {},
    ("post", "/v1/dead/{seq}/redrive"): {},
    ("post", "/v1/dead/purge"): {},
    ("post", "/v1/blobs"): {"content": b"bytes"},
    ("get", "/v1/blobs/{digest}"): {},
    ("post", "/v1/embeddings"): {"json": {"model": "aos", "input": "x"}},
    ("get", "/healthz"): {},
    ("get", "/readyz"): {},
    ("get", "/metrics"): {},
}


@pytest.fixture
async def app(nc, js, tmp_path):
    return await open_app(nc, js, tmp_path)


@pytest.fixture
async def client(app):
    async with in_process(app) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "unknown", "meant"),
    [
        ("GET", "/v1/tasks?limt=5", "limt", "limit"),
        ("GET", "/v1/tasks?limit=5&State=failed", "State", "state"),
        ("GET", "/v1/tasks?curser=", "curser", "cursor"),
        ("GET", "/v1/dead?limits=5", "limits", "limit"),
        ("POST", "/v1/tasks?wiat=5", "wiat", "wait"),
        ("GET", "/v1/tasks/any?waits=5", "waits", "wait"),
        ("GET", "/v1/tasks/any/events?aftr=5", "aftr", "after"),
    ],
)
async def test_a_misspelt_parameter_is_refused_with_the_one_that_was_meant(client, method, path, unknown, meant):
    response = await client.request(method, path)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, "parameter_unknown")
    assert problem["detail"] == f"unknown parameter {unknown}; did you mean {meant}"
    assert problem["fields"][0]["field"] == f"query.{unknown}"
    assert meant in problem["next_step"]
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/agents/echo?limit=5"),
        ("POST", "/v1/agents/search?limit=5"),
        ("POST", "/v1/explain?wait=5"),
        ("GET", "/v1/agents/echo?zzz"),
        ("DELETE", "/v1/agents/echo?dry_run=true"),
        ("POST", "/v1/tasks/x/cancel?reason=late"),
    ],
)
async def test_where_none_is_taken_every_parameter_is_refused(client, method, path):
    problem = (await client.request(method, path)).json()
    assert (problem["status"], problem["code"]) == (422, "parameter_unknown")
    assert problem["next_step"] == "send no query parameters here"


async def test_a_task_with_a_misspelt_wait_is_not_accepted(client):
    assert (await client.post("/v1/tasks?wiat=5", json={"text": "x"})).status_code == 422
    assert (await client.get("/v1/tasks")).json()["tasks"] == []


@pytest.mark.parametrize("path", ["/v1/tasks", "/v1/dead"])
async def test_a_cursor_that_no_page_gave_is_refused(client, path):
    for cursor in ("0", "-1", "x", str(2**63), "9" * 30, "9" * 5000):
        response = await client.get(f"{path}?cursor={cursor}")
        assert (response.status_code, response.json()["fields"][0]["field"]) == (422, "query.cursor")


async def test_a_flood_of_unknown_parameters_is_told_in_few_words(client):
    response = await client.get("/v1/tasks?" + "&".join(f"{'x' * 200}{number}=1" for number in range(200)))
    assert (response.status_code, len(response.json()["fields"])) == (422, 3)
    assert len(response.content) < 4000


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"])
async def test_what_is_not_the_interface_takes_any_parameter(client, path):
    assert (await client.get(f"{path}?_=17&cache=no")).status_code == 200


async def test_openai_clients_may_add_parameters(client):
    answer = await client.post("/v1/embeddings?api-version=2024-02-01", json={"model": "aos", "input": "x"})
    assert answer.json()["code"] == "encoder_unavailable", "it got as far as the encoder"


async def test_wrong_paths_and_methods_stay_what_they_are(client):
    assert (await client.get("/v1/nowhere?limt=5")).status_code == 404
    assert (await client.put("/v1/tasks?limt=5")).status_code == 405


async def test_refused_requests_are_counted_by_their_route(client):
    await client.get("/v1/tasks/any?waits=5")
    numbers = (await client.get("/metrics")).text
    assert 'aos_http_requests_total{method="GET",route="/v1/tasks/{task_id}",status="422"} 1.0' in numbers


async def test_a_refusal_with_an_unread_body_leaves_the_connection_usable(app):
    async with served(app) as client:
        for _ in range(3):
            assert (await client.post("/v1/tasks?wiat=1", content=b"x" * 1_000_000)).status_code == 422
        assert (await client.post("/v1/tasks", json={"text": "x"})).status_code == 202


async def test_the_description_has_every_parameter_that_the_routes_read(app, nc, js, monkeypatch):
    """Every route is called while the reading of parameters is listened to."""
    read = _listen(monkeypatch)
    operations = app.openapi()["paths"]
    assert {(method, path) for path in operations for method in operations[path]} == set(REQUESTS)
    async with TinyWorker(nc, js).working(), in_process(app) as client:
        task = (await client.post("/v1/tasks?wait=60", json={"text": "x"})).json()["task_id"]
        stored = (await client.post("/v1/blobs", content=b"bytes")).json()["digest"]
        assert stored == DIGEST
        named = {"task_id": task, "index": "0", "agent_id": "echo", "seq": "1", "digest": DIGEST}
        for (method, path), request in sorted(REQUESTS.items(), reverse=True):
            read.clear()
            where = re.sub(r"{(\w+)}", lambda found: named[found[1]], path)
            headers = {"Range": "bytes=0-1"} if "/blobs/" in path or "/outputs/" in path else {}
            await client.request(method, where, headers=headers, **request)
            described = {(each["in"], each["name"].lower()) for each in operations[path][method].get("parameters", ())}
            assert read - described == set(), f"{method} {path}"
            if path.startswith("/v1/"):
                assert ("header", "x-aos-tenant") in read, f"{method} {path} was not reached"


async def test_what_is_described_for_reading_on_is_there(app):
    operations = app.openapi()["paths"]
    assert _described(operations, "get", "/v1/tasks/{task_id}") >= {("query", "wait")}
    assert _described(operations, "post", "/v1/tasks") >= {("query", "wait"), ("header", "Idempotency-Key")}
    events = {("header", "Last-Event-ID"), ("query", "after")}
    assert _described(operations, "get", "/v1/tasks/{task_id}/events") >= events


def _described(operations, method, path):
    return {(each["in"], each["name"]) for each in operations[path][method]["parameters"]}


def _listen(monkeypatch):
    """The names of all parameters that are looked up from now on, as (where, lower-case name)."""
    read = set()

    def heard(where, inner):
        def lookup(self, key, *default):
            if where == "query" or key.lower() not in OF_EVERY_REQUEST:
                read.add((where, key.lower()))
            return inner(self, key, *default)

        return lookup

    for kind, where in ((Headers, "header"), (QueryParams, "query")):
        for name in ("get", "__getitem__", "__contains__"):
            monkeypatch.setattr(kind, name, heard(where, getattr(kind, name)))
    return read

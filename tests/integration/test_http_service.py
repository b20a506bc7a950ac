"""The door about itself: alive, ready, counted, described; and what it says to wrong paths and defects."""

import asyncio
import re

import pytest
from jsonschema import Draft202012Validator

from agents.errors import BusUnavailable
from gateway.http.app import create_app
from gateway.http.server import serve_http
from gateway.task_draft import EXAMPLES
from tests.integration.http_door import TinyWorker, in_process, open_app, served


@pytest.fixture
async def app(nc, js, tmp_path):
    return await open_app(nc, js, tmp_path)


@pytest.fixture
async def client(app):
    async with in_process(app) as client:
        yield client


async def test_the_process_lives(client):
    assert (await client.get("/healthz")).json() == {"alive": True}


async def test_a_door_without_workers_is_ready_and_says_so(client, nc, js):
    ready = (await client.get("/readyz")).json()
    assert (ready["ready"], ready["bus"], ready["streams"]) == (True, "connected", "present")
    assert ready["workers"].startswith("none seen")
    async with TinyWorker(nc, js).working():
        await client.post("/v1/tasks?wait=40", json={"text": "x"})
        while (await client.get("/readyz")).json()["workers"] != "seen":
            pass


async def test_a_door_without_its_bus_is_not_ready(client, nc, nats_server):
    nats_server.kill()
    response = await client.get("/readyz")
    assert (response.status_code, response.json()["code"]) == (503, "not_ready")
    await nats_server.start()


async def test_a_door_without_its_streams_is_not_ready(client, js):
    await js.delete_stream("AOS_EVENTS")
    assert (await client.get("/readyz")).status_code == 503


async def test_requests_tasks_publishes_and_events_are_counted(client, nc, js):
    async with TinyWorker(nc, js).working():
        await client.post("/v1/tasks?wait=40", json={"text": "x", "priority": "high"})
        await client.get("/v1/tasks/unknown")
        await client.get("/nowhere/at/all")
    await nc.flush()
    numbers = (await client.get("/metrics")).text
    for line in (
        'aos_http_requests_total{method="POST",route="/v1/tasks",status="200"} 1.0',
        'aos_http_requests_total{method="GET",route="/v1/tasks/{task_id}",status="404"} 1.0',
        'aos_http_requests_total{method="GET",route="other",status="404"} 1.0',
        'aos_tasks_accepted_total{priority="high"} 1.0',
        "aos_publish_seconds_count 1.0",
        'aos_task_events_total{kind="succeeded"} 1.0',
    ):
        assert line in numbers


async def test_the_index_points_to_what_is_there(client):
    assert (await client.get("/")).json()["links"]["tasks"] == "/v1/tasks"
    page = await client.get("/", headers={"Accept": "text/html"})
    assert "/docs" in page.text


async def test_the_reference_needs_nothing_from_elsewhere(client):
    page = (await client.get("/docs")).text
    assert "swagger" in page.lower()
    needed = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(needed) >= 2
    for path in (*needed, "/openapi.json"):
        assert path.startswith("/"), "no other host is asked"
        assert (await client.get(path)).status_code == 200


async def test_the_description_covers_every_path_with_problems_and_examples(client):
    described = (await client.get("/openapi.json")).json()
    paths = set(described["paths"])
    assert {"/v1/tasks", "/v1/tasks/{task_id}/events", "/v1/agents/search", "/v1/dead/{seq}/redrive"} <= paths
    components = described["components"]["schemas"]
    assert {"TaskDraft", "TaskRecord", "Problem", "AgentCard", "FeedbackDraft"} <= set(components)
    assert "HTTPValidationError" not in components
    for path, operations in described["paths"].items():
        for operation in operations.values():
            assert "application/problem+json" in operation["responses"]["default"]["content"]
            named = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "path"}
            assert all(one["required"] for one in operation["parameters"] if one["in"] == "path")
            assert named == set(re.findall(r"{(\w+)}", path))
    body = described["paths"]["/v1/tasks"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "multipart/form-data"}
    schema = components["TaskDraft"] | {"components": {"schemas": components}}
    for example in body["application/json"]["examples"].values():
        Draft202012Validator(schema).validate(example["value"])


async def test_every_reference_in_the_description_leads_somewhere(client):
    described = (await client.get("/openapi.json")).json()
    names = {ref.removeprefix("#/components/schemas/") for ref in _refs(described)}
    assert names <= set(described["components"]["schemas"])


async def test_the_examples_of_the_description_are_accepted_but_for_their_missing_file(client):
    for name, example in EXAMPLES.items():
        response = await client.post("/v1/tasks", json=example["value"])
        assert response.status_code == (422 if name == "parts" else 202)


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/v2/tasks", 404), ("PUT", "/v1/tasks", 405)])
async def test_wrong_paths_and_methods_are_problems(client, method, path, status):
    response = await client.request(method, path)
    problem = response.json()
    assert (response.status_code, problem["status"], problem["instance"]) == (status, status, path)
    assert response.headers["content-type"] == "application/problem+json"
    assert (status == 405) == ("allow" in response.headers)


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/tasks", "GET, HEAD, POST"),
        ("/v1/agents/echo", "DELETE, GET, HEAD"),
        ("/v1/tasks/x/cancel", "POST"),
        ("/healthz", "GET, HEAD"),
    ],
)
async def test_an_address_says_every_method_that_it_takes(client, path, methods):
    assert (await client.put(path)).headers["allow"] == methods


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/v1/tasks", "/v1/agents"]
)
async def test_what_can_be_read_can_be_asked_for_its_head(app, path):
    async with served(app) as client:
        whole, head = await client.get(path), await client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == whole.headers["content-type"]
        if path != "/metrics":  # it counts the requests for itself
            assert head.headers["content-length"] == whole.headers["content-length"]
        assert (await client.head("/v1/tasks/nobody")).status_code == 404
        assert (await client.head("/v1/explain")).headers["allow"] == "POST"


async def test_the_head_of_a_stream_does_not_wait_for_its_end(app):
    async with served(app) as client:
        task = (await client.post("/v1/tasks", json={"text": "nobody does it"})).json()["task_id"]
        blob = (await client.post("/v1/blobs", content=b"x" * 5_000_000)).headers["location"]
        events = await client.head(f"/v1/tasks/{task}/events")
        assert (events.status_code, events.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert "etag" in (await client.head(blob)).headers
        part = await client.head(blob, headers={"Range": "bytes=0-9"})
        assert (part.status_code, part.headers["content-length"]) == (206, "10")
        while app.state.doors.following.open_count:
            await asyncio.sleep(0.01)
        assert (await client.get("/healthz")).json() == {"alive": True}
        numbers = (await client.get("/metrics")).text
        assert 'aos_http_requests_total{method="HEAD",route="/v1/tasks/{task_id}/events",status="200"} 1.0' in numbers


async def test_a_defect_is_told_without_its_insides(app, client, monkeypatch):
    async def broken(*_args, **_kwargs):
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(type(app.state.doors.ledger), "get", broken)
    response = await client.get("/v1/tasks/x")
    assert (response.status_code, response.json()["code"]) == (500, "internal_error")
    assert "secret" not in response.text


async def test_a_silent_bus_is_503_wherever_it_is_met(app, client, monkeypatch):
    async def silent(*_args, **_kwargs):
        raise BusUnavailable("no answer")

    monkeypatch.setattr(type(app.state.doors.ledger), "get", silent)
    response = await client.get("/v1/tasks/x")
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


async def test_a_port_that_is_taken_is_an_error_of_the_caller(app, js):
    async with served(app) as client:
        with pytest.raises(OSError, match="in use"):
            await serve_http(create_app(app.state.doors), "127.0.0.1", client.base_url.port, None)


def _refs(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from _refs(each)
    elif isinstance(value, list):
        for each in value:
            yield from _refs(each)

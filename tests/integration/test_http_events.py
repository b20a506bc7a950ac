"""A task's story over server-sent events, through a real server."""

import asyncio
import json
from contextlib import aclosing

import pytest

from gateway.door_limits import DoorLimits
from gateway.http import event_stream
from schemas import subjects
from schemas.task import TaskEvent, TaskEventKind, TaskState
from tests.integration.http_door import TinyWorker, open_app, served


@pytest.fixture
async def app(nc, js, tmp_path):
    return await open_app(nc, js, tmp_path)


@pytest.fixture
async def client(app):
    async with served(app) as client:
        yield client


async def submit(client, **draft):
    return (await client.post("/v1/tasks", json={"text": "x"} | draft)).json()["task_id"]


async def read(client, task_id, headers=None, until=None):
    """Events as (id, kind, data) until the stream ends, or until one of that kind came."""
    events, event = [], {}
    async with client.stream("GET", f"/v1/tasks/{task_id}/events", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            field, _, value = line.partition(": ")
            event[field] = value
            if line == "" and "data" in event:
                events.append((int(event["id"]), event["event"], json.loads(event["data"])))
                event = {}
                if events[-1][1] == until:
                    break
    return events


async def test_a_task_is_followed_from_acceptance_to_its_end(client, nc, js):
    task_id = await submit(client)
    following = asyncio.create_task(read(client, task_id))
    async with TinyWorker(nc, js).working():
        events = await following
    assert [kind for _, kind, _ in events] == ["accepted", "started", "succeeded"]
    assert [data["kind"] for _, _, data in events] == ["accepted", "started", "succeeded"]
    ids = [seq for seq, _, _ in events]
    assert ids == sorted(set(ids))


async def test_a_story_that_is_over_is_told_at_once(client, nc, js):
    async with TinyWorker(nc, js).working():
        task_id = (await client.post("/v1/tasks?wait=40", json={"text": "x"})).json()["task_id"]
    async with asyncio.timeout(0.9):
        events = await read(client, task_id)
    assert [kind for _, kind, _ in events] == ["accepted", "started", "succeeded"]


async def test_a_broken_stream_resumes_after_the_last_event_seen(client, nc, js):
    task_id = await submit(client)
    first = await read(client, task_id, until="accepted")
    async with TinyWorker(nc, js).working():
        rest = await read(client, task_id, headers={"Last-Event-ID": str(first[-1][0])})
    assert [kind for _, kind, _ in rest] == ["started", "succeeded"]


async def test_resuming_after_the_end_tells_nothing_more_and_ends(client, nc, js):
    async with TinyWorker(nc, js).working():
        task_id = (await client.post("/v1/tasks?wait=40", json={"text": "x"})).json()["task_id"]
    last = (await read(client, task_id))[-1][0]
    assert await read(client, task_id, headers={"Last-Event-ID": str(last)}) == []


async def test_a_stream_survives_a_restart_of_the_bus(client, nc, js, nats_server):
    task_id = await submit(client)
    following = asyncio.create_task(read(client, task_id))
    await asyncio.sleep(0)
    nats_server.kill()
    await nats_server.start()
    async with TinyWorker(nc, js).working():
        events = await following
    assert [kind for _, kind, _ in events][-2:] == ["started", "succeeded"]


async def test_a_client_that_hangs_up_leaves_nothing_behind(app, client):
    following = app.state.doors.following
    task_id = await submit(client)
    await read(client, task_id, until="accepted")
    async with asyncio.timeout(30):
        while following.open_count:
            await asyncio.sleep(0.01)


async def test_more_followers_than_allowed_are_told_to_come_back(nc, js, tmp_path):
    app = await open_app(nc, js, tmp_path, DoorLimits(followers=1))
    async with served(app) as client:
        task_id = await submit(client)
        async with app.state.doors.following.watch("default", task_id):
            response = await client.get(f"/v1/tasks/{task_id}/events")
            waiting = await client.get(f"/v1/tasks/{task_id}?wait=1")
    assert (response.status_code, response.json()["code"]) == (503, "overloaded")
    assert waiting.status_code == 503


async def test_a_message_refused_on_the_bus_has_a_story_too(client, js):
    event = TaskEvent(task_id="bad", tenant="default", kind=TaskEventKind.REJECTED)
    await js.publish(subjects.event("default", "bad"), event.model_dump_json().encode())
    assert [kind for _, kind, _ in await read(client, "bad")] == ["rejected"]


async def test_a_task_put_back_after_its_end_goes_on_being_told(app, client, js):
    task_id = await submit(client)
    failed = TaskEvent(task_id=task_id, tenant="default", kind=TaskEventKind.FAILED)
    await js.publish(subjects.event("default", task_id), failed.model_dump_json().encode())
    story = app.state.doors.following.events("default", task_id)
    async with aclosing(story):
        seen = [event async for event in _first(story, 3)]
    assert [event.data and json.loads(event.data)["kind"] for event in seen[:2]] == ["accepted", "failed"]
    assert seen[2] is None


async def test_an_end_that_is_told_late_is_awaited(app, client, js):
    """A worker died after it had stored the result, or the stream of events had no leader just then."""
    task_id = await submit(client)
    over = {"state": TaskState.SUCCEEDED}
    await app.state.doors.ledger.change("default", task_id, lambda record: record.model_copy(update=over))
    async with aclosing(app.state.doors.following.events("default", task_id)) as story:
        assert json.loads((await anext(story)).data)["kind"] == "accepted"
        assert await anext(story) is None
        end = TaskEvent(task_id=task_id, tenant="default", kind=TaskEventKind.SUCCEEDED)
        await js.publish(subjects.event("default", task_id), end.model_dump_json().encode())
        rest = [json.loads(event.data)["kind"] async for event in story if event is not None]
    assert rest == ["succeeded"]


async def _first(story, count):
    for _ in range(count):
        yield await anext(story)


async def test_long_silences_are_broken_by_comments(app, client):
    task_id = await submit(client)
    story = event_stream.told(app.state.doors.following, "default", task_id, 10**9, heartbeat_s=0.5)
    async with aclosing(story):
        assert await anext(story) == b"retry: 1000\n\n"
        assert (await anext(story)).startswith(b": ")


async def test_a_closing_door_ends_its_streams_and_waits(app, nc, js):
    async with served(app) as client:
        task_id = await submit(client)
        following = asyncio.create_task(read(client, task_id))
        waiting = asyncio.create_task(client.post("/v1/tasks?wait=60", json={"text": "y"}))
        async with asyncio.timeout(30):
            while app.state.doors.following.open_count < 2:
                await asyncio.sleep(0.01)
        async with asyncio.timeout(30):
            app.state.doors.following.close()
            assert "succeeded" not in [kind for _, kind, _ in await following]
            assert (await waiting).status_code == 202


@pytest.mark.parametrize("last", ["abc", "-1", "9" * 19, "1" * 30])
async def test_a_bad_last_event_id_is_refused(client, last):
    task_id = await submit(client)
    response = await client.get(f"/v1/tasks/{task_id}/events", headers={"Last-Event-ID": last})
    assert (response.status_code, response.json()["code"]) == (400, "request_invalid")

"""Clients that are hostile, clumsy or gone, over real sockets: none of them holds the door from the others."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from gateway.door_limits import DoorLimits
from gateway.http.connections import HEAD_BYTES_MAX
from tests.integration.http_door import open_app, served

WITHIN_S = 60.0
PATIENCE_S = 0.5
JSON = b"Content-Type: application/json\r\n"


@pytest.fixture
async def app(nc, js, tmp_path):
    """A door that loses patience soon and has one place for uploads."""
    return await open_app(nc, js, tmp_path, DoorLimits(stalled_s=PATIENCE_S, uploads=1))


@pytest.fixture
async def door(app):
    async with served(app) as client:
        yield client


@asynccontextmanager
async def connected(door):
    reader, writer = await asyncio.open_connection("127.0.0.1", door.base_url.port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def answer(reader):
    """What comes before the server hangs up: status and JSON."""
    async with asyncio.timeout(WITHIN_S):
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


async def told(door, sent):
    async with connected(door) as (reader, writer):
        writer.write(sent)
        return await answer(reader)


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"])
@pytest.mark.parametrize(
    "head", [b"X: " + b"a" * (HEAD_BYTES_MAX + 1), b"\r\n".join(b"X%d: aaa" % number for number in range(6_000))]
)
async def test_a_head_that_is_too_large_is_refused_before_and_after_its_end(door, head, end):
    status, problem = await told(door, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + head + end)
    assert (status, problem["code"]) == (431, "head_too_large")
    assert problem["next_step"]


async def test_a_head_without_an_end_is_cut_off(door):
    """Refused after some of it; what is sent on breaks the connection."""
    async with connected(door) as (_, writer), asyncio.timeout(WITHIN_S):
        with pytest.raises(ConnectionError):
            await _send_head_for_ever(writer)
    assert (await door.get("/healthz")).status_code == 200


async def test_a_large_head_within_the_bound_is_read(door):
    assert (await door.get("/healthz", headers={"X": "a" * (HEAD_BYTES_MAX // 2)})).status_code == 200


async def test_many_requests_at_once_on_one_connection_are_no_large_head(door):
    one = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    count = 2 * HEAD_BYTES_MAX // len(one)
    async with connected(door) as (reader, writer), asyncio.timeout(WITHIN_S):
        writer.write(one * count + one[:-2])
        for _ in range(count):
            assert b"200 OK" in await reader.readuntil(b'{"alive":true}')
        writer.write(b"\r\n")
        assert b"200 OK" in await reader.readuntil(b'{"alive":true}')


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET /v1/tasks/\xc3\xa9 HTTP/1.1\r\n\r\n",
        b"POST /v1/tasks HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST /v1/tasks HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    ],
)
async def test_what_is_no_http_is_told_as_a_problem(door, sent):
    status, problem = await told(door, sent)
    assert (status, problem["code"], problem["status"]) == (400, "request_invalid", 400)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /heal",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\n",
        b"POST /v1/tasks HTTP/1.1\r\n" + JSON + b'Content-Length: 100\r\n\r\n{"text":',
        b"POST /v1/tasks HTTP/1.1\r\n" + JSON + b'Transfer-Encoding: chunked\r\n\r\n8\r\n{"text":\r\n',
        b"POST /v1/blobs HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc",
        b"POST /v1/tasks HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 9\r\n\r\n--b\r\n",
    ],
)
async def test_who_stops_in_the_middle_of_a_request_is_told_so(door, sent):
    status, problem = await told(door, sent)
    assert (status, problem["code"]) == (408, "request_timeout")


async def test_who_says_nothing_at_all_is_hung_up_on(door):
    async with connected(door) as (reader, _), asyncio.timeout(WITHIN_S):
        assert await reader.read(-1) == b""


async def test_a_stalled_upload_does_not_keep_its_place(door):
    await told(door, b"POST /v1/blobs HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc")
    async with asyncio.timeout(WITHIN_S):
        while (stored := await door.post("/v1/blobs", content=b"abc")).status_code == 503:
            await asyncio.sleep(0.01)
    assert stored.status_code == 201


async def test_who_never_takes_the_answer_is_let_go(door):
    """More than all buffers between hold; the meter says when the door has done with the request."""
    size = 64 * 1024 * 1024
    digest = (await door.post("/v1/blobs", content=b"\0" * size)).json()["digest"]
    async with connected(door) as (_, writer):
        writer.transport.pause_reading()
        writer.write(f"GET /v1/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await _until_metric(door, 'aos_http_requests_total{method="GET",route="/v1/blobs/{digest}",status="200"} 1.0')


async def test_a_download_that_is_taken_comes_whole(door):
    content = bytes(range(256)) * 65536
    digest = (await door.post("/v1/blobs", content=content)).json()["digest"]
    assert (await door.get(f"/v1/blobs/{digest}")).content == content


async def test_who_waits_for_an_answer_or_for_events_is_not_stalled(door):
    task = (await door.post("/v1/tasks", json={"text": "nobody does it"})).json()["task_id"]
    wait_s = PATIENCE_S * 5
    async with connected(door) as (reader, writer), asyncio.timeout(WITHIN_S):
        writer.write(f"GET /v1/tasks/{task}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await reader.readuntil(b"retry:")
        waited = await door.get(f"/v1/tasks/{task}?wait={wait_s}")
        assert (waited.status_code, waited.json()["state"]) == (200, "queued")
        assert not reader.at_eof()


@pytest.mark.parametrize("how", ["submit", "read"])
async def test_who_hangs_up_while_waiting_is_waited_for_no_longer(app, door, how):
    """With a wait of minutes: the place is free at once all the same."""
    body = b'{"text": "nobody does it"}'
    task = (await door.post("/v1/tasks", content=body)).json()["task_id"]
    submit = b"POST /v1/tasks?wait=300 HTTP/1.1\r\n" + JSON + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    read = f"GET /v1/tasks/{task}?wait=300 HTTP/1.1\r\n\r\n".encode()
    following = app.state.doors.following
    async with asyncio.timeout(WITHIN_S):
        async with connected(door) as (_, writer):
            writer.write(submit if how == "submit" else read)
            while following.open_count == 0:
                await asyncio.sleep(0.01)
        while following.open_count:
            await asyncio.sleep(0.01)


async def _send_head_for_ever(writer):
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: ")
    while True:
        writer.write(b"a" * 65536)
        await writer.drain()


async def _until_metric(door, line):
    async with asyncio.timeout(WITHIN_S):
        while line not in (await door.get("/metrics")).text:
            await asyncio.sleep(0.05)

"""Content that travels by reference: uploaded, downloaded, and never whole in memory."""

import hashlib
import os

import psutil
import pytest

from gateway.door_limits import DoorLimits
from tests.integration.http_door import TinyWorker, in_process, open_app, served

MIB = 1024 * 1024


@pytest.fixture
async def client(nc, js, tmp_path):
    async with in_process(await open_app(nc, js, tmp_path)) as client:
        yield client


async def test_uploaded_content_is_found_under_its_digest(client):
    content = b"\x00\x01" * 1000
    created = await client.post("/v1/blobs", content=content)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    assert (created.status_code, created.json()["digest"], created.json()["size_bytes"]) == (201, digest, 2000)
    downloaded = await client.get(created.headers["location"])
    assert downloaded.content == content
    assert downloaded.headers["etag"] == f'"{digest}"'


async def test_uploading_twice_is_one_blob(client):
    assert (await client.post("/v1/blobs", content=b"x")).json() == (
        await client.post("/v1/blobs", content=b"x")
    ).json()


async def test_nothing_is_content_too(client):
    created = await client.post("/v1/blobs", content=b"")
    assert (await client.get(created.headers["location"])).content == b""


async def test_a_task_may_refer_to_uploaded_content(client, nc, js):
    ref = (await client.post("/v1/blobs", content=b"a,b\n1,2\n")).json()
    async with TinyWorker(nc, js).working():
        task = {"parts": [{"text": "sum b"}, {"name": "a.csv", "ref": ref}]}
        done = (await client.post("/v1/tasks?wait=40", json=task)).json()
    assert (await client.get(f"/v1/tasks/{done['task_id']}/outputs/1")).content == b"a,b\n1,2\n"


async def test_a_reference_to_nothing_is_refused(client):
    task = {"parts": [{"ref": {"digest": "sha256:" + "0" * 64, "size_bytes": 1}}]}
    response = await client.post("/v1/tasks", json=task)
    assert (response.status_code, response.json()["code"]) == (422, "attachment_missing")


@pytest.mark.parametrize(("range_", "status", "part"), [("bytes=2-4", 206, b"234"), ("bytes=-2", 206, b"89")])
async def test_a_range_is_read(client, range_, status, part):
    here = (await client.post("/v1/blobs", content=b"0123456789")).headers["location"]
    response = await client.get(here, headers={"Range": range_})
    assert (response.status_code, response.content) == (status, part)


@pytest.mark.parametrize("range_", ["bytes=100-", "bytes=10-", "bytes=0-1,100-"])
async def test_a_range_past_the_end_is_refused(client, range_):
    here = (await client.post("/v1/blobs", content=b"0123456789")).headers["location"]
    response = await client.get(here, headers={"Range": range_})
    assert (response.status_code, response.json()["code"]) == (416, "range_not_satisfiable")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["content-range"] == "bytes */10"


@pytest.mark.parametrize(
    "range_",
    ["", "bytes", "bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "items=0-1", "bytes=0-1;2", f"bytes=0-{'9' * 5000}"],
)
async def test_a_range_that_makes_no_sense_is_ignored(client, range_):
    here = (await client.post("/v1/blobs", content=b"0123456789")).headers["location"]
    response = await client.get(here, headers={"Range": range_})
    assert (response.status_code, response.content) == (200, b"0123456789")


async def test_a_range_of_other_content_is_not_taken(client):
    here = (await client.post("/v1/blobs", content=b"0123456789")).headers["location"]
    for range_ in ("bytes=2-4", "bytes=100-"):
        response = await client.get(here, headers={"Range": range_, "If-Range": '"another"'})
        assert (response.status_code, response.content) == (200, b"0123456789")


@pytest.mark.parametrize("digest", ["sha256:" + "0" * 64, "sha256:x", "..%2f..%2fetc%2fpasswd", "md5:1"])
async def test_unknown_content_is_not_found(client, digest):
    for headers in ({}, {"Range": "bytes=0-1"}):
        response = await client.get(f"/v1/blobs/{digest}", headers=headers)
        assert response.status_code == 404
        assert response.headers["content-type"] == "application/problem+json"


async def test_content_over_the_limit_is_refused_announced_or_not(nc, js, tmp_path):
    async with in_process(await open_app(nc, js, tmp_path, DoorLimits(attachment_bytes=1000))) as client:
        for content in (b"x" * 1001, _zeros(1001, 100)):
            response = await client.post("/v1/blobs", content=content)
            assert (response.status_code, response.json()["code"]) == (413, "attachment_too_large")


async def test_a_form_is_no_blob(client):
    response = await client.post("/v1/blobs", files={"file": ("a", b"b")})
    assert (response.status_code, response.json()["code"]) == (415, "media_type_unsupported")


async def test_large_content_streams_in_and_out_without_being_held(nc, js, tmp_path):
    size = 128 * MIB
    async with served(await open_app(nc, js, tmp_path)) as client:
        await client.post("/v1/blobs", content=_zeros(16 * MIB, MIB))
        before = psutil.Process(os.getpid()).memory_info().rss
        created = await client.post("/v1/blobs", content=_zeros(size, MIB))
        received = 0
        async with client.stream("GET", created.headers["location"]) as response:
            async for chunk in response.aiter_raw():
                received += len(chunk)
        grown = psutil.Process(os.getpid()).memory_info().rss - before
    assert created.json()["size_bytes"] == received == size
    assert grown < 96 * MIB


async def _zeros(size, step):
    block = bytes(step)
    for start in range(0, size, step):
        yield block[: min(step, size - start)]

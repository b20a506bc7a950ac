"""The doctor asks InfluxDB and Qdrant a question with the keys that are set: answering the phone is not enough."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.cli.doctor import checkup
from gateway.cli.doctor.credentials import admitted, influx_door, qdrant_door
from gateway.cli.doctor.findings import Finding, Verdict
from gateway.settings import Settings
from gateway.settings.stores import Index, Influx


@asynccontextmanager
async def server(answer) -> AsyncIterator[str]:
    """A small HTTP server; ``answer`` turns path and headers into a status and a JSON body."""

    async def serve(reader, writer) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = request.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        status, body = answer(lines[0].split()[1], headers)
        content = json.dumps(body).encode()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode())
        writer.write(content)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


def influxdb(path: str, headers: dict[str, str]) -> tuple[int, object]:
    """As the InfluxDB 2 API documents it: 401 without a valid token, 404 for an organisation that is not there."""
    asked = urlsplit(path)
    if asked.path == "/health":
        return 200, {"status": "pass"}
    if headers.get("authorization") != "token right":
        return 401, {"code": "unauthorized", "message": "unauthorized access"}
    (org,) = parse_qs(asked.query)["org"]
    if org != "my org":
        return 404, {"code": "not found", "message": f'organization name "{org}" not found'}
    return 200, {"buckets": []}


def qdrant(path: str, headers: dict[str, str]) -> tuple[int, object]:
    return (200, {"result": {"collections": []}}) if headers.get("api-key") == "right" else (403, "Invalid API key")


async def found(url: str, token: str | None, org: str = "my org") -> Finding:
    settings = Settings(influx=Influx(url=url, token=token, org=org))
    (finding,) = (one for one in await checkup.examine(settings) if one.name == "influxdb")
    return finding


async def test_influxdb_is_ticked_only_with_a_token_and_an_organisation_that_it_knows():
    async with server(influxdb) as url:
        assert await found(url, "right") == Finding("influxdb", Verdict.OK, url)
        wrong = await found(url, "wrong")
        assert wrong.verdict is Verdict.MISSING
        assert "401" in wrong.found
        assert "unauthorized access" in wrong.found
        assert wrong.remedy.startswith("correct AOS_INFLUX_TOKEN")
        assert (await found(url, None)).remedy.startswith("set AOS_INFLUX_TOKEN")
        elsewhere = await found(url, "right", org="other")
        assert elsewhere.verdict is Verdict.MISSING
        assert "AOS_INFLUX_ORG (other)" in elsewhere.remedy


async def test_no_secret_is_shown():
    async with server(influxdb) as url:
        withheld = url.replace("http://", "http://me:secret@")
        shown = await found(withheld, "wrong-token")
    assert "secret" not in str(shown)
    assert "wrong-token" not in str(shown)


@pytest.mark.parametrize(
    ("key", "verdict"), [("right", Verdict.OK), ("wrong", Verdict.MISSING), (None, Verdict.MISSING)]
)
async def test_qdrant_too(key: str | None, verdict: Verdict):
    async with server(qdrant) as url:
        door = qdrant_door(Index(url=url, api_key=key))
        assert door is not None
        finding = await admitted(door)
    assert finding.verdict is (Verdict.OK if key == "right" else Verdict.MISSING)
    assert key == "right" or "AOS_QDRANT_API_KEY" in finding.remedy


async def test_another_server_and_one_that_speaks_no_http_are_told_apart():
    async with server(lambda *_: (500, {"message": "out of memory"})) as url:
        assert "500: {" in (await found(url, "right")).found
    silent = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with silent:
        finding = await found(f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}", "right")
    assert finding.verdict is Verdict.MISSING
    assert "no answer over HTTP" in finding.found


def test_what_is_not_set_has_no_door():
    assert influx_door(Influx()) is None
    assert qdrant_door(Index()) is None

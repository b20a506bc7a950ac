"""The client of the door follows a task to its end, also when the door ends the stream before: it restarts, or goes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.cli.door import client as door_client
from gateway.cli.door.client import GatewayClient
from gateway.cli.terminal.failure import ExitCode, Failed

Answer = tuple[int, str]

GONE: Answer = (503, json.dumps({"title": "not now", "code": "bus_unavailable"}))
ENDED: Answer = (200, "")


def told(seq: int, kind: str) -> Answer:
    return 200, f"id: {seq}\nevent: {kind}\ndata: {{}}\n\n"


@asynccontextmanager
async def door(answers: list[Answer], asked: list[str | None]) -> AsyncIterator[str]:
    """Gives these answers to whoever follows the task, which is over when the last one was given."""
    left = list(answers)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        if lines[0].split()[1].endswith("/events"):
            asked.append(headers.get("last-event-id"))
            status, body = left.pop(0)
        else:
            status, body = 200, json.dumps({"task_id": "t", "state": "running" if left else "succeeded"})
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


async def followed(answers: list[Answer], asked: list[str | None]) -> list[str]:
    async with door(answers, asked) as url, GatewayClient(url, "default") as client:
        return [event.event async for event in client.events("t")]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_client, "RESUME_AFTER_S", 0.0)


async def test_a_stream_that_the_door_ended_early_is_taken_up_where_it_was():
    asked: list[str | None] = []
    assert await followed([told(4, "started"), ENDED, GONE, told(9, "succeeded")], asked) == ["started", "succeeded"]
    assert asked == [None, "4", "4", "4"]


async def test_a_door_that_goes_on_refusing_is_given_up():
    asked: list[str | None] = []
    with pytest.raises(Failed) as gone:
        await followed([told(4, "started"), *[GONE] * 30], asked)
    assert gone.value.exit_code is ExitCode.UNREACHABLE
    assert len(asked) == 1 + door_client.RESUMES


async def test_a_door_that_never_told_anything_is_given_up_at_once():
    asked: list[str | None] = []
    with pytest.raises(Failed):
        await followed([GONE, told(4, "succeeded")], asked)
    assert asked == [None]

"""Servers that are not quite what a card says: what is told of them, and what they are told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agents.connectors.http_agent import HttpConnector
from agents.connectors.openai_agent import OpenAIConnector
from agents.errors import AgentUnreachable, BadReply
from schemas.card import HttpEndpoint, OpenAIEndpoint
from tensor_layer.storage.blobs import ObstoreBlobs
from tests.ports.connector_peers import ask, card_for


class Stranger:
    """A web server that gives every request the same answer and keeps what it was sent."""

    def __init__(self) -> None:
        self.answer = b""
        self.heard: list[bytes] = []
        self.url = ""

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answer)
        await writer.drain()
        writer.close()

    def says(self, status: str, media_type: str, body: bytes) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\nConnection: close"
        self.answer = head.encode() + b"\r\n\r\n" + body


@pytest.fixture
async def stranger() -> AsyncIterator[Stranger]:
    stranger = Stranger()
    async with await asyncio.start_server(stranger.meet, "127.0.0.1", 0) as server:
        stranger.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield stranger


@pytest.fixture
def blobs(tmp_path: Path) -> ObstoreBlobs:
    return ObstoreBlobs.from_url(tmp_path.as_uri())


@pytest.mark.parametrize(("media_type", "body"), [("text/html", b"<html>hello"), ("application/json", b"[1]")])
async def test_a_model_server_whose_list_of_models_is_none_counts_as_able(stranger, blobs, media_type, body):
    stranger.says("200 OK", media_type, body)
    connector = OpenAIConnector(blobs, env={})
    assert await connector.probe(card_for(OpenAIEndpoint(base_url=f"{stranger.url}/v1", model="m"))) is True
    await connector.close()


async def test_a_model_server_that_refuses_the_key_is_not_able(stranger, blobs):
    stranger.says("401 Unauthorized", "application/json", b'{"error": {"message": "no"}}')
    connector = OpenAIConnector(blobs, env={})
    assert await connector.probe(card_for(OpenAIEndpoint(base_url=f"{stranger.url}/v1", model="m"))) is False
    await connector.close()


async def test_a_secret_that_the_worker_lacks_is_named_when_the_service_refuses(stranger, blobs):
    stranger.says("401 Unauthorized", "text/plain", b"who are you?")
    card = card_for(HttpEndpoint(url=f"{stranger.url}/", headers_from_env={"X-Key": "THEIR_KEY"}))
    for env, told in (({}, True), ({"THEIR_KEY": "s3cret"}, False)):
        connector = HttpConnector(blobs, env=env)
        with pytest.raises(AgentUnreachable) as refused:
            await connector.invoke(card, ask("x"), 30)
        await connector.close()
        assert ("THEIR_KEY" in str(refused.value)) is told
    assert b"x-key" not in stranger.heard[0].lower()
    assert b"s3cret" in stranger.heard[1]
    assert "s3cret" not in str(refused.value)


async def test_a_model_server_that_cuts_a_character_in_half_is_told_in_words_that_can_be_stored(stranger, blobs):
    stranger.says("400 Bad Request", "application/json", b'{"error": {"message": "too long: \\ud83d"}}')
    connector = OpenAIConnector(blobs, env={})
    with pytest.raises(AgentUnreachable, match="too long") as caught:
        await connector.invoke(card_for(OpenAIEndpoint(base_url=f"{stranger.url}/v1", model="m")), ask("x"), 30)
    str(caught.value).encode()
    await connector.close()


async def test_a_model_server_that_does_not_stop_talking_is_not_heard_out(stranger, blobs, monkeypatch):
    monkeypatch.setattr("agents.connectors.replies.MAX_REPLY_BYTES", 100_000)
    stranger.says("200 OK", "application/json", b" " * 200_000)
    connector = OpenAIConnector(blobs, env={})
    with pytest.raises(BadReply, match="at most"):
        await connector.invoke(card_for(OpenAIEndpoint(base_url=f"{stranger.url}/v1", model="m")), ask("x"), 30)
    await connector.close()


async def test_a_model_server_that_breaks_off_is_worth_another_attempt(stranger, blobs):
    stranger.says("200 OK", "application/json", b'{"choices": []}')
    stranger.answer = stranger.answer.replace(b"Content-Length: 15", b"Content-Length: 1500")
    connector = OpenAIConnector(blobs, env={})
    with pytest.raises(AgentUnreachable) as caught:
        await connector.invoke(card_for(OpenAIEndpoint(base_url=f"{stranger.url}/v1", model="m")), ask("x"), 30)
    assert caught.value.retryable
    await connector.close()

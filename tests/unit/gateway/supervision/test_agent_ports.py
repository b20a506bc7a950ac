"""Agents of `aos up` get a free port where their card's is taken; the registered card says where they really listen."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from agents.registry.card_files import LoadedCard
from agents.registry.memory_registry import MemoryRegistry
from gateway.embedded.nats_server import free_port
from gateway.supervision.agent_commands import command_of
from gateway.supervision.agent_folder import AgentFolder
from gateway.supervision.agent_ports import AgentPorts
from gateway.supervision.restarts import RestartPolicy
from gateway.supervision.supervisor import Supervisor
from schemas.card import AgentCard

SERVICE = """\
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"it is me")

HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Hello).serve_forever()
"""
CARD = """\
id: hello
version: 1.0.0
description: Says hello over HTTP.
skills:
  - {{id: hello, description: Say hello to somebody., inputs: [text], outputs: [text]}}
endpoint:
  kind: http
  url: http://127.0.0.1:{port}/invoke
  health_url: http://127.0.0.1:{port}/healthz
  command: [python, hello_service.py]
"""


@contextmanager
def taken() -> Iterator[int]:
    """A port at which somebody else listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.fixture
def said() -> list[str]:
    return []


def loaded(agent_id: str, endpoint: dict) -> LoadedCard:
    skill = {"id": "do", "description": "does something", "inputs": ["text"], "outputs": ["text"]}
    card = {"id": agent_id, "version": "1.0.0", "description": "An agent.", "skills": [skill], "endpoint": endpoint}
    return LoadedCard(Path(f"/cards/{agent_id}.yaml"), AgentCard.model_validate(card))


def service(port: int, *command: str) -> dict:
    urls = {"url": f"http://127.0.0.1:{port}/invoke?a=1", "health_url": f"http://localhost:{port}/healthz"}
    return {"kind": "http", "command": command or ("serve",), **urls}


def test_a_free_port_stays_as_the_card_says(said):
    cards = (loaded("a", service(free_port())),)
    assert AgentPorts(said.append).settle(cards) == cards
    assert said == []


def test_a_taken_port_is_exchanged_in_every_url_of_it_and_once_and_for_all(said):
    ports = AgentPorts(said.append)
    with taken() as port:
        model = {"kind": "openai", "base_url": f"http://127.0.0.1:{port}/v1", "model": "m"}
        cards = (loaded("a", service(port)), loaded("same-program", model), loaded("b", service(free_port())))
        first, same, other = ports.settle(cards)
        new = first.card.endpoint.url.port
        assert new != port
        assert str(first.card.endpoint.url) == f"http://127.0.0.1:{new}/invoke?a=1"
        assert str(first.card.endpoint.health_url) == f"http://localhost:{new}/healthz"
        assert str(same.card.endpoint.base_url) == f"http://127.0.0.1:{new}/v1"
        assert other == cards[2]
        assert said == [f"agent a: port {port} is taken; it is started on {new} (PORT={new}) instead"]
        with socket.socket() as agent:  # it listens there now: that is no reason to move again
            agent.bind(("127.0.0.1", new))
            agent.listen()
            assert ports.settle(cards) == (first, same, other)
    assert len(said) == 1


def test_an_agent_that_does_not_stay_up_because_its_port_was_taken_meanwhile_moves(said):
    ports = AgentPorts(said.append)
    with taken() as port:
        pass  # free when it was looked at
    cards = (loaded("a", service(port)),)
    assert ports.settle(cards) == cards
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        assert ports.settle(cards) == cards
        (again,) = ports.settle(cards, down={("default", "a")})
    assert again.card.endpoint.url.port != port
    (kept,) = ports.settle(cards, down={("default", "a")})  # its new port is free: it crashes for another reason
    assert kept == again


def test_what_nobody_here_starts_or_what_lies_elsewhere_is_left_alone(said):
    with taken() as port:
        cards = (
            loaded("by-hand", {"kind": "http", "url": f"http://127.0.0.1:{port}/invoke"}),
            loaded("far", {"kind": "http", "url": f"http://far.example:{port}/invoke", "command": ["tunnel"]}),
            loaded("root", {"kind": "http", "url": "http://127.0.0.1/invoke", "command": ["serve"]}),
            loaded("bus", {"kind": "nats", "command": ["serve"]}),
        )
        assert AgentPorts(said.append).settle(cards) == cards
    assert said == []


def test_a_command_that_names_its_port_itself_is_told_what_to_do_once(said):
    ports = AgentPorts(said.append)
    with taken() as port:
        cards = (loaded("a", service(port, "serve", f"--port={port}")),)
        assert ports.settle(cards) == cards
        assert ports.settle(cards, down={("default", "a")}) == cards
    assert len(said) == 1
    assert "names that port itself; free it" in said[0]


async def test_the_process_and_the_registry_agree_on_where_a_moved_agent_is(tmp_path: Path, said):
    cards = tmp_path / "cards"
    cards.mkdir()
    (cards / "hello_service.py").write_text(SERVICE)
    registry, supervisor = MemoryRegistry(), Supervisor(tmp_path / "logs", RestartPolicy(), drain_s=30)

    def spec_of(each: LoadedCard):
        return command_of(each.card, cards, {}, nats_url="nats://n:4222", gateway_url="http://g:8080")

    with taken() as port:
        (cards / "hello.yaml").write_text(CARD.format(port=port))
        folder = AgentFolder(cards, registry, supervisor, spec_of, pytest.fail, said.append)
        try:
            await folder.synchronise()
            (revision,) = await registry.list_cards()
            assert await first_answer(str(revision.card.endpoint.health_url)) == "it is me"
        finally:
            await supervisor.stop()
    assert f"port {port} is taken" in said[0]


async def first_answer(url: str) -> str:
    async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                return (await client.get(url)).text
            except httpx.TransportError:
                await asyncio.sleep(0.05)

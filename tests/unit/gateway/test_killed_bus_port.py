"""A bus server that was killed keeps its port: nobody else's server gets the clients that look for it."""

import socket
from pathlib import Path

import pytest

from gateway.embedded.nats_server import NatsServer


async def test_a_killed_server_s_port_is_refused_and_given_to_nobody_until_it_is_back(tmp_path: Path):
    server = NatsServer(tmp_path)
    await server.start()
    server.kill()
    with socket.socket() as client:
        assert client.connect_ex((server.host, server.port)) != 0
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((server.host, server.port))
    await server.start()
    with socket.create_connection((server.host, server.port), timeout=5) as client:
        assert client.recv(4) == b"INFO"
    await server.stop()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((server.host, server.port))

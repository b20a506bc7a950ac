"""Real servers for tests: started on free ports, killed by their own process id."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from gateway.bus.connection import connect
from gateway.bus.ensuring import ensure
from gateway.bus.streams import Quotas
from gateway.embedded.nats_server import NatsServer
from tests.stack.fixtures import bus, door, heard, running_stack, stack  # noqa: F401 - fixtures of the shared stack


@pytest.fixture
async def nats_server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A fresh nats-server with JetStream on disk."""
    server = NatsServer(tmp_path / "nats", sync_interval="2m")
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def nc(nats_server: NatsServer) -> AsyncIterator[Client]:
    """A connection to the fresh server."""
    client = await connect(nats_server.url, "test")
    yield client
    await client.close()


@pytest.fixture
async def js(nc: Client) -> JetStreamContext:
    """JetStream with every stream and bucket of the map."""
    context = nc.jetstream(timeout=10)
    await ensure(context, Quotas().scaled(0.05), nc.max_payload)
    return context


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Tests that share a stack share a process; other files go wherever there is time."""
    # Imported here: whoever runs one test in one process needs no xdist.
    from tests.stack.scheduling import OneStackScheduling

    return OneStackScheduling(config, log)

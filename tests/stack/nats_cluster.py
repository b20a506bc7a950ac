"""Three real nats-servers that form one cluster, as a production bus has them. Each can be killed and started again."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from pathlib import Path

import nats
import nats.errors
from nats.aio.client import Client

from gateway.embedded.nats_server import NatsServer, free_port

NODES = 3


class ClusterNode(NatsServer):
    """One server of the cluster."""

    def __init__(self, folder: Path, name: str, route_port: int, routes: list[str], sync_interval: str) -> None:
        super().__init__(folder, sync_interval=sync_interval)
        self.name = name
        self._route_port = route_port
        self._routes = routes

    def signal(self, number: signal.Signals) -> None:
        """SIGSTOP and SIGCONT make it stand still, and go on."""
        assert self.pid is not None
        os.kill(self.pid, number)

    def _config_text(self) -> str:
        config = super()._config_text().replace("aos-embedded", self.name)
        listen = f"{self.host}:{self._route_port}"
        # No pool: a node that comes back is heard at once over its one route.
        return f"{config}cluster {{ name: aos-test, listen: {listen!r}, routes: {self._routes}, pool_size: -1 }}\n"


class NatsCluster:
    """Nodes over folders of their own, on free ports."""

    def __init__(self, folder: Path, sync_interval: str = "2m") -> None:
        ports = [free_port() for _ in range(NODES)]
        routes = [f"nats://127.0.0.1:{port}" for port in ports]
        self.nodes = [
            ClusterNode(folder / f"n{n}", f"n{n}", port, routes, sync_interval) for n, port in enumerate(ports)
        ]

    @property
    def url(self) -> str:
        """All nodes, as AOS_NATS_URL takes them."""
        return ",".join(node.url for node in self.nodes)

    async def leader_of(self, client: Client, stream: str) -> ClusterNode:
        """The server that every write to the stream goes through."""
        cluster = (await client.jetstream(timeout=5).stream_info(stream)).cluster
        assert cluster is not None
        return next(node for node in self.nodes if node.name == cluster.leader)

    async def start(self) -> None:
        """Start all and wait until JetStream has a leader."""
        await asyncio.gather(*(node.start() for node in self.nodes))
        await self.until_answering()

    async def stop(self) -> None:
        await asyncio.gather(*(node.stop() for node in self.nodes))

    async def until_answering(self, timeout_s: float = 60) -> None:
        """Wait until JetStream answers at every node."""
        async with asyncio.timeout(timeout_s), AsyncExitStack() as opened:
            for node in self.nodes:
                client = await nats.connect(node.url)
                opened.push_async_callback(client.close)
                await _until_answering(client)


async def _until_answering(client: Client) -> None:
    js = client.jetstream(timeout=1)
    while True:
        try:
            await js.account_info()
            return
        except (nats.errors.Error, OSError):
            await asyncio.sleep(0.05)

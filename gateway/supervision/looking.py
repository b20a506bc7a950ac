"""Looks from outside at what was started: ports, the door, the agents. Used by the deployment while it waits."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import httpx

from schemas.card import AgentCard, Liveness


class Door:
    """The HTTP door as a newcomer sees it; a door that does not answer is simply not ready."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def is_ready(self) -> bool:
        """Whether tasks are accepted and a worker takes them."""
        try:
            answer = await self._client.get("/readyz")
        except httpx.TransportError:
            return False
        return answer.status_code == httpx.codes.OK and answer.json().get("workers") == "seen"

    async def silent_among(self, cards: Iterable[AgentCard]) -> set[str]:
        """Those of the agents that have shown no life."""
        expected = {(card.tenant, card.id) for card in cards}
        alive = set[tuple[str, str]]()
        for tenant in {tenant for tenant, _ in expected}:
            alive |= {(tenant, agent_id) for agent_id in await self._alive(tenant)}
        return {agent_id for _, agent_id in expected - alive}

    async def _alive(self, tenant: str) -> set[str]:
        alive = set[str]()
        page: dict[str, str] = {"limit": "200"}
        while True:
            try:
                answer = await self._client.get("/v1/agents", params=page, headers={"X-AOS-Tenant": tenant})
            except httpx.TransportError:
                return alive
            if answer.status_code != httpx.codes.OK:
                return alive
            told = answer.json()
            alive |= {view["card"]["id"] for view in told["agents"] if view["liveness"] == Liveness.ALIVE}
            if not told["cursor"]:
                return alive
            page["cursor"] = told["cursor"]


@asynccontextmanager
async def looking_at(url: str) -> AsyncIterator[Door]:
    """The door at that URL."""
    async with httpx.AsyncClient(base_url=url, timeout=5, trust_env=False) as client:
        yield Door(client)


async def listens(host: str, port: int) -> bool:
    """Whether somebody takes connections there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


def is_free(host: str, port: int) -> bool:
    """Whether this machine would let us listen there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True

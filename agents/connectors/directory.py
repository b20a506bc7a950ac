"""Finds the connector for a card by the kind of its endpoint. The one Connector that `running` and the fleet hold."""

import asyncio
from collections.abc import Callable, Mapping

from agents.errors import AgentUnreachable
from agents.ports.connectors import Connector
from schemas.card import AgentCard
from schemas.invocation import Invocation, InvocationReply


class ConnectorDirectory:
    """Implements ``ports.Connector`` by handing each call to the connector of the card's endpoint kind."""

    def __init__(self, by_kind: Mapping[str, Connector]) -> None:
        self._by_kind = dict(by_kind)

    async def invoke(self, card: AgentCard, invocation: Invocation, timeout_s: float) -> InvocationReply:
        """Raises what the kind's connector raises, and AgentUnreachable for a kind this worker does not speak."""
        connector = self._by_kind.get(card.endpoint.kind)
        if connector is None:
            raise AgentUnreachable(
                f"{card.id} has an endpoint of kind {card.endpoint.kind!r} and this worker speaks "
                f"{', '.join(sorted(self._by_kind))}",
                step_id=invocation.step_id,
                agent_id=card.id,
            )
        return await connector.invoke(card, invocation, timeout_s)

    async def probe(self, card: AgentCard) -> bool | None:
        """What the kind's connector finds; False for a kind this worker does not speak."""
        connector = self._by_kind.get(card.endpoint.kind)
        return False if connector is None else await connector.probe(card)

    async def close(self) -> None:
        """Close every connector."""
        await asyncio.gather(*(connector.close() for connector in self._by_kind.values()))


class Deferred:
    """Implements ``ports.Connector`` by another one that is made, in a thread, when it is first needed."""

    def __init__(self, make: Callable[[], Connector]) -> None:
        self._make = make
        self._making = asyncio.Lock()
        self._made: Connector | None = None

    async def invoke(self, card: AgentCard, invocation: Invocation, timeout_s: float) -> InvocationReply:
        """As the connector behind it."""
        return await (self._made or await self._connector()).invoke(card, invocation, timeout_s)

    async def probe(self, card: AgentCard) -> bool | None:
        """As the connector behind it."""
        return await (self._made or await self._connector()).probe(card)

    async def close(self) -> None:
        """Close the connector behind it, if there is one yet."""
        if self._made is not None:
            await self._made.close()

    async def _connector(self) -> Connector:
        async with self._making:
            if self._made is None:
                self._made = await asyncio.to_thread(self._make)
            return self._made

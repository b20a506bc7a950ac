"""One attempt at one agent. Made by `connectors` for each kind of endpoint, asked by `running`."""

from typing import Protocol

from schemas.card import AgentCard
from schemas.invocation import Invocation, InvocationReply


class Connector(Protocol):
    """Reaches agents of one endpoint kind. One attempt; retries and breakers wrap it."""

    async def invoke(self, card: AgentCard, invocation: Invocation, timeout_s: float) -> InvocationReply:
        """Raises StepTimedOut, AgentUnreachable, BadReply, and BusUnavailable where the agent is reached over the bus.

        A reply that carries an error is returned, not raised.
        """
        ...

    async def probe(self, card: AgentCard) -> bool | None:
        """Whether the agent can work now; None when it announces itself by heartbeat instead."""
        ...

    async def close(self) -> None:
        """Stop children and connections."""
        ...

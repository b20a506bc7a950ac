"""Who is there, as `registry` keeps it: the cards and their versions, and a worker's live view of them."""

from collections.abc import AsyncIterator
from typing import Protocol

from schemas.card import AgentCard, CardRevision, Liveness


class Registry(Protocol):
    """The truth about agents: a versioned key-value bucket."""

    async def register(self, card: AgentCard) -> CardRevision:
        """Store the card as a new version; an identical card stores nothing and returns the present revision."""
        ...

    async def get(self, tenant: str, agent_id: str) -> CardRevision:
        """The present version. Raises AgentNotFound."""
        ...

    async def list_cards(self, tenant: str | None = None) -> list[CardRevision]:
        """All present cards, ordered by tenant and id."""
        ...

    async def history(self, tenant: str, agent_id: str) -> list[CardRevision]:
        """Every version kept, oldest first, removals included. Raises AgentNotFound."""
        ...

    async def remove(self, tenant: str, agent_id: str) -> None:
        """Take the agent out; its history stays. Raises AgentNotFound."""
        ...

    async def last_revision(self) -> int:
        """The number of the newest change, whatever it changed; 0 before the first."""
        ...

    def watch(self) -> AsyncIterator[CardRevision]:
        """Every present card, then every change as it happens, for ever. Survives reconnects."""
        ...


class Fleet(Protocol):
    """The worker's live view of the registry: cards and health, kept current by watching; reads are local."""

    def cards(self, tenant: str) -> dict[str, AgentCard]:
        """Present cards of the tenant by agent id."""
        ...

    def liveness(self, tenant: str, agent_id: str) -> Liveness:
        """ALIVE within the heartbeat TTL, DEAD past it."""
        ...

    def load(self, tenant: str, agent_id: str) -> float:
        """The load the agent last reported."""
        ...

    def version(self, tenant: str) -> int:
        """Grows with every change of the tenant's cards or liveness: what was decided for it may be kept meanwhile."""
        ...

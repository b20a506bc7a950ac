"""The registry in process memory: the same guarantees without a bus. Called by dry runs, and by tests of the fleet."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count

from agents.errors import AgentNotFound
from schemas.card import AgentCard, CardRevision

HISTORY = 64


class MemoryRegistry:
    """ports.Registry for one process and one event loop."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, str], list[CardRevision]] = {}
        self._revisions = count(1)
        self._followers: set[_Follower] = set()

    async def register(self, card: AgentCard) -> CardRevision:
        """Store the card as a new version; an identical card stores nothing."""
        versions = self._versions.get((card.tenant, card.id), [])
        if versions and not versions[-1].removed and versions[-1].card == card:
            return versions[-1]
        return self._append(CardRevision(card=card, revision=next(self._revisions)))

    async def get(self, tenant: str, agent_id: str) -> CardRevision:
        """The present version. Raises AgentNotFound."""
        versions = self._versions.get((tenant, agent_id), [])
        if not versions or versions[-1].removed:
            raise AgentNotFound(f"no agent {agent_id!r} is registered for tenant {tenant!r}")
        return versions[-1]

    async def list_cards(self, tenant: str | None = None) -> list[CardRevision]:
        """All present cards, ordered by tenant and id."""
        last = (versions[-1] for _, versions in sorted(self._versions.items()))
        return [r for r in last if not r.removed and tenant in (None, r.card.tenant)]

    async def history(self, tenant: str, agent_id: str) -> list[CardRevision]:
        """Every version kept (64 at most), oldest first. Raises AgentNotFound."""
        if (tenant, agent_id) not in self._versions:
            raise AgentNotFound(f"no agent {agent_id!r} was ever registered for tenant {tenant!r}")
        return list(self._versions[tenant, agent_id])

    async def remove(self, tenant: str, agent_id: str) -> None:
        """Take the agent out; its history stays. Raises AgentNotFound."""
        present = await self.get(tenant, agent_id)
        self._append(CardRevision(card=present.card, revision=next(self._revisions), removed=True))

    async def watch(self) -> AsyncIterator[CardRevision]:
        """Every present card, then every change as it happens."""
        follower = _Follower()
        for revision in await self.list_cards():
            follower.tell(revision)
        self._followers.add(follower)
        try:
            while True:
                yield await follower.next()
        finally:
            self._followers.discard(follower)

    def _append(self, revision: CardRevision) -> CardRevision:
        versions = self._versions.setdefault((revision.card.tenant, revision.card.id), [])
        versions.append(revision)
        del versions[:-HISTORY]
        for follower in self._followers:
            follower.tell(revision)
        return revision


class _Follower:
    """What one watcher has not read yet: the newest revision of each agent, so a slow reader costs bounded memory."""

    def __init__(self) -> None:
        self._unread: dict[tuple[str, str], CardRevision] = {}
        self._told = asyncio.Event()

    def tell(self, revision: CardRevision) -> None:
        key = (revision.card.tenant, revision.card.id)
        self._unread.pop(key, None)
        self._unread[key] = revision
        self._told.set()

    async def next(self) -> CardRevision:
        while not self._unread:
            self._told.clear()
            await self._told.wait()
        return self._unread.pop(next(iter(self._unread)))

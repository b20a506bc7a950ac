"""Changes of the registry that were heard of and are not taken in yet. Kept by the fleet."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice

from agents.registry.health import AgentKey
from schemas.card import CardRevision

logger = logging.getLogger(__name__)

BATCH_CARDS = 32
"""They can be found together, once the words of all of them are encoded: some 2 s of a core."""
LOGGED_BACKLOG = 1_000


class Arrivals:
    """The newest change of each agent, in order of arrival. For one event loop and one that takes them in."""

    def __init__(self) -> None:
        self._unread: dict[AgentKey, CardRevision] = {}
        self._newest = 0
        self._taking = False
        self._told = 0
        self._stirred = asyncio.Event()
        self._taken = asyncio.Event()

    def __len__(self) -> int:
        return len(self._unread)

    def note(self, revision: CardRevision) -> None:
        """A change was heard of; it replaces an earlier one of the same agent."""
        self._unread[key_of(revision)] = revision
        self._newest = max(self._newest, revision.revision)
        self._stirred.set()

    def stir(self) -> None:
        """Let whoever takes in look again, though nothing arrived."""
        self._stirred.set()

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[list[CardRevision]]:
        """The next changes, once there are any; what raises puts them back."""
        await self._stirred.wait()
        self._tell_of_backlog(len(self._unread))
        taken = [self._unread.pop(key) for key in list(islice(self._unread, BATCH_CARDS))]
        if not self._unread:
            self._stirred.clear()
        self._taking = True
        try:
            yield taken
        except BaseException:
            self._put_back(taken)
            raise
        finally:
            self._taking = False
        self._taken.set()

    async def all_until(self, revision: int) -> None:
        """Return once every change up to that revision is taken in."""
        while self._newest < revision or self._unread or self._taking:
            self._taken.clear()
            await self._taken.wait()

    def _tell_of_backlog(self, cards: int) -> None:
        """Whenever it is another number of thousands."""
        if cards // LOGGED_BACKLOG != self._told:
            self._told = cards // LOGGED_BACKLOG
            logger.info("indexing agents: %d cards to go", cards)

    def _put_back(self, batch: Sequence[CardRevision]) -> None:
        for revision in batch:
            self._unread.setdefault(key_of(revision), revision)
        self._stirred.set()


def key_of(revision: CardRevision) -> AgentKey:
    """Whose change it is."""
    return revision.card.tenant, revision.card.id

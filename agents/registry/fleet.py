"""A worker's live view of the registry: cards, skill vectors, health. Started by the wiring, asked by matching."""

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from nats.js import JetStreamContext

from agents.background_tasks import Loop, begun, ended
from agents.errors import AgentsError
from agents.ports.registry import Registry
from agents.ports.skill_index import SkillIndex
from agents.registry.arrivals import Arrivals, key_of
from agents.registry.editions import Editions
from agents.registry.health import HEARTBEAT_TTL_S, AgentKey, HealthBoard
from agents.registry.health_feed import PROBE_EVERY_S, HealthFeed, Probe
from agents.registry.hearing import HearingClock
from agents.registry.skill_text import Encode, SkillVectors, mark_of, points_of, texts_of
from schemas.card import AgentCard, CardRevision, Liveness
from tensor_layer.errors import TensorLayerError

logger = logging.getLogger(__name__)

CARDS_PER_TURN = 32
RETRY_S = 1.0
LIST_AGAIN_S = 2.0
NOTE_HEALTH_S = 0.5
CATCH_UP_S = 2.0


class LiveFleet:
    """ports.Fleet. ``start`` begins to follow the registry; ``ready`` is set once all cards of that moment are indexed.

    An agent appears when its skills can be found, and disappears before they are taken out. Failures of the bus, the
    encoder or the index are tried again for ever; what is already known keeps answering meanwhile.
    """

    def __init__(
        self,
        registry: Registry,
        index: SkillIndex,
        encode: Encode,
        js: JetStreamContext,
        probe: Probe,
        *,
        clock: Callable[[], float] = time.monotonic,
        ttl_s: float = HEARTBEAT_TTL_S,
        probe_every_s: float = PROBE_EVERY_S,
    ) -> None:
        self.ready = asyncio.Event()
        self._registry = registry
        self._index = index
        self._vectors = SkillVectors(encode)
        self._editions = Editions()
        hearing = HearingClock(clock)
        self._board = HealthBoard(hearing, self._editions.changed, ttl_s)
        self._health = HealthFeed(js, self._board, hearing, lambda: self._cards, probe, clock, probe_every_s)
        self._cards: dict[str, dict[str, AgentCard]] = {}
        self._revisions: dict[AgentKey, int] = {}
        self._arrivals = Arrivals()
        self._left: dict[AgentKey, str] = {}
        self._left_is_known = False
        self._noted_dead: frozenset[AgentKey] = frozenset()
        self._moved = asyncio.Event()
        self._revision_awaited = 0
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to follow; returns at once. Await ``ready`` for the first full view."""
        loops = (
            self._follow_registry,
            self._index_arrivals,
            self._await_ready,
            self._health.watch_for_silence,
            self._health.follow_signs,
            self._note_health,
            self._probe_agents,
        )
        self._tasks = begun([_again_and_again(loop) for loop in loops], "fleet")

    async def stop(self) -> None:
        """Stop following. The index stays open: whoever opened it closes it."""
        await ended(*self._tasks)
        self._tasks = []

    def version(self, tenant: str) -> int:
        """Grows with every change of the tenant's cards or liveness; other tenants' leave it as it is."""
        return self._editions.of(tenant)

    async def catch_up(self, within_s: float = CATCH_UP_S) -> None:
        """Return once all that was registered until now can be found, or after that time. Raises BusUnavailable.

        A change that does not come in time, such as a removal of what was never seen, is not awaited a second time.
        """
        last = await self._registry.last_revision()
        if last <= self._revision_awaited:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._arrivals.all_until(last)
        self._revision_awaited = max(self._revision_awaited, last)

    def cards(self, tenant: str) -> dict[str, AgentCard]:
        """Present cards of the tenant by agent id: a snapshot that never changes. Do not change it."""
        return self._cards.get(tenant, {})

    def liveness(self, tenant: str, agent_id: str) -> Liveness:
        """ALIVE within the heartbeat TTL, UNKNOWN while a new agent may still announce itself, else DEAD."""
        return self._board.liveness((tenant, agent_id))

    def load(self, tenant: str, agent_id: str) -> float:
        """The load the agent last reported, 0.0 when it never did."""
        return self._board.load((tenant, agent_id))

    async def _follow_registry(self) -> None:
        async for revision in self._registry.watch():
            self._arrivals.note(revision)
            if len(self._arrivals) % CARDS_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _index_arrivals(self) -> None:
        if not self._left_is_known:
            self._left, self._left_is_known = await self._index.marks(), True
        while True:
            async with self._arrivals.batch() as batch:
                await self._take_in(batch)
                await self._take_out_the_gone()

    async def _take_in(self, batch: Sequence[CardRevision]) -> None:
        gone = [revision.card for revision in batch if revision.removed]
        present = [revision.card for revision in batch if not revision.removed]
        self._drop(gone)
        for card in gone:
            await self._index.replace(card.tenant, card.id, ())
        await self._index_skills([card for card in present if self._must_index(card)])
        self._add(present)
        for revision in batch:
            self._left.pop(key_of(revision), None)
        if not self.ready.is_set():
            self._revisions.update({key_of(revision): revision.revision for revision in batch})
            self._moved.set()

    async def _index_skills(self, cards: Sequence[AgentCard]) -> None:
        vectors = await self._vectors.of([text for card in cards for text in texts_of(card)])
        for card in cards:
            await self._index.replace(card.tenant, card.id, points_of(card, vectors), mark_of(card))
            # The embedded index answers without waiting; other work of this loop wants its turn between two agents.
            await asyncio.sleep(0)

    def _must_index(self, card: AgentCard) -> bool:
        known = self.cards(card.tenant).get(card.id)
        lies_there = self._left.get((card.tenant, card.id)) if known is None else mark_of(known)
        return lies_there != mark_of(card)

    def _add(self, cards: Sequence[AgentCard]) -> None:
        for tenant in {card.tenant for card in cards}:
            added = {card.id: card for card in cards if card.tenant == tenant}
            self._cards[tenant] = {**self.cards(tenant), **added}
        for card in cards:
            self._board.expect((card.tenant, card.id))
            self._editions.changed(card.tenant)

    def _drop(self, cards: Sequence[AgentCard]) -> None:
        for card in cards:
            self._board.forget((card.tenant, card.id))
            self._health.forget((card.tenant, card.id))
        for tenant in {card.tenant for card in cards}:
            dropped = {card.id for card in cards if card.tenant == tenant}
            left = {i: card for i, card in self.cards(tenant).items() if i not in dropped}
            if left:
                self._cards[tenant] = left
                self._editions.changed(tenant)
            else:
                self._cards.pop(tenant, None)
                self._editions.emptied(tenant)

    async def _await_ready(self) -> None:
        """Ready when every card the registry lists was taken in; it is asked again when nothing moves for a while."""
        behind = await self._listed()
        while behind:
            self._moved.clear()
            try:
                async with asyncio.timeout(LIST_AGAIN_S):
                    await self._moved.wait()
            except TimeoutError:
                behind = await self._listed()
            behind = {key: revision for key, revision in behind.items() if self._revisions.get(key, 0) < revision}
        self.ready.set()
        self._revisions.clear()
        self._arrivals.stir()  # nothing arrived, but there may be something to take out now

    async def _listed(self) -> dict[AgentKey, int]:
        return {key_of(revision): revision.revision for revision in await self._registry.list_cards()}

    async def _take_out_the_gone(self) -> None:
        """Agents that an earlier process indexed and that were removed since, once all others are known."""
        if self.ready.is_set():
            for tenant, agent_id in list(self._left):
                await self._index.replace(tenant, agent_id, ())
                self._left.pop((tenant, agent_id))

    async def _note_health(self) -> None:
        """Tell the index who is dead, so that it leaves them out when it is asked to."""
        while True:
            await asyncio.sleep(NOTE_HEALTH_S)
            silent = self._board.silent
            for tenant, agent_id in silent ^ self._noted_dead:
                await self._index.note_health(tenant, agent_id, dead=(tenant, agent_id) in silent)
            self._noted_dead = silent

    async def _probe_agents(self) -> None:
        # First everyone can be found, then everyone is asked how they are: probing must not slow the start.
        await self.ready.wait()
        await self._health.probe_agents()


def _again_and_again(loop: Loop) -> Loop:
    """The loop, started again whenever the bus, the encoder or the index fails it."""

    @functools.wraps(loop)
    async def kept() -> None:
        while True:
            try:
                await loop()
                return
            except (AgentsError, TensorLayerError, OSError) as error:
                logger.warning("the fleet tries again in %s s: %s", RETRY_S, error)
            await asyncio.sleep(RETRY_S)

    return kept

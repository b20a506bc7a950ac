"""Keeps the health board current: hears heartbeats, probes, and shares both through the bucket. Called by the fleet."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from pydantic import ValidationError

from agents.errors import AgentsError
from agents.registry.health import AgentKey, HealthBoard
from agents.registry.kv_feed import BUS_ERRORS, follow, subject_of
from schemas import subjects
from schemas.card import AgentCard, Heartbeat

logger = logging.getLogger(__name__)

Probe = Callable[[AgentCard], Awaitable[bool | None]]
CardsByTenant = Mapping[str, Mapping[str, AgentCard]]

PROBE_EVERY_S = 5.0
PROBES_AT_ONCE = 64
CARDS_PER_TURN = 1_000
"""Cards looked at before other work of the loop has its turn."""

FRESH_SHARE = 0.8
"""An entry younger than this share of the period was written by another worker this round: no need to do it again."""

MIRRORED_AT_ONCE = 64
"""One after the other, the heartbeats of a thousand agents took longer than they are worth."""


class HealthFeed:
    """Three loops that run until cancelled and survive restarts of the bus. ``cards`` gives the agents of now."""

    def __init__(
        self,
        nc: Client,
        js: JetStreamContext,
        board: HealthBoard,
        cards: Callable[[], CardsByTenant],
        probe: Probe,
        clock: Callable[[], float],
        period_s: float = PROBE_EVERY_S,
    ) -> None:
        self._nc = nc
        self._js = js
        self._board = board
        self._cards = cards
        self._probe = probe
        self._clock = clock
        self._period_s = period_s
        self._round_s = period_s / 5
        self._mirrored_at: dict[AgentKey, float] = {}
        self._unmirrored: dict[AgentKey, Heartbeat] = {}
        self._probe_at: dict[AgentKey, float] = {}
        self._probes: dict[AgentKey, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(PROBES_AT_ONCE)

    def forget(self, key: AgentKey) -> None:
        """The agent was removed."""
        for memory in (self._mirrored_at, self._unmirrored, self._probe_at):
            memory.pop(key, None)

    async def share_heartbeats(self) -> None:
        """Hear the heartbeats of all agents and mirror them, for ever. The client renews its subscription by itself."""
        subscription = await self._nc.subscribe(subjects.HEARTBEAT_ALL, cb=self._hear)
        try:
            while True:
                self._board.sweep()
                await self._mirror_heard()
                await asyncio.sleep(self._round_s * random.uniform(0.8, 1.2))
        finally:
            if not self._nc.is_closed:
                await subscription.unsubscribe()

    async def follow_mirror(self) -> None:
        """Learn what the other workers heard and probed, for ever. Raises BusUnavailable once the client is closed."""
        async for entry in follow(self._js, subjects.BUCKET_HEALTH):
            heartbeat = None if entry.removed else _parse(entry.value, entry.key)
            if heartbeat is None:
                continue
            key = (heartbeat.tenant, heartbeat.agent_id)
            if self._board.knows(key):
                age_s = max(0.0, (datetime.now(UTC) - entry.stored_at).total_seconds())
                self._mirrored_at[key] = self._clock() - age_s
                self._board.hear(key, heartbeat.load, age_s)

    async def probe_agents(self) -> None:
        """Ask those who do not announce themselves, each once a period, for ever."""
        try:
            while True:
                for number, card in enumerate(self._present()):
                    self._probe_when_due(card)
                    if number % CARDS_PER_TURN == CARDS_PER_TURN - 1:
                        await asyncio.sleep(0)
                await asyncio.sleep(self._round_s * random.uniform(0.8, 1.2))
        finally:
            for task in self._probes.values():
                task.cancel()

    def _present(self) -> Iterator[AgentCard]:
        for cards in self._cards().values():
            yield from cards.values()

    async def _hear(self, message: Msg) -> None:
        heartbeat = _parse(message.data, message.subject)
        if heartbeat is None:
            return
        key = (heartbeat.tenant, heartbeat.agent_id)
        # Permissions of the bus guard the subject, so the subject decides for whom a heartbeat may speak.
        if message.subject == subjects.heartbeat(*key) and self._board.knows(key):
            self._board.hear(key, heartbeat.load)
            self._unmirrored[key] = heartbeat

    def _is_fresh(self, key: AgentKey) -> bool:
        return self._clock() - self._mirrored_at.get(key, float("-inf")) < self._period_s * FRESH_SHARE

    async def _mirror_heard(self) -> None:
        heard, self._unmirrored = self._unmirrored, {}
        due = [beat for key, beat in heard.items() if not self._is_fresh(key)]
        for start in range(0, len(due), MIRRORED_AT_ONCE):
            await asyncio.gather(*map(self._mirror, due[start : start + MIRRORED_AT_ONCE]))

    async def _mirror(self, heartbeat: Heartbeat) -> None:
        self._mirrored_at[heartbeat.tenant, heartbeat.agent_id] = self._clock()
        subject = subject_of(subjects.BUCKET_HEALTH, subjects.record_key(heartbeat.tenant, heartbeat.agent_id))
        try:
            await self._js.publish(subject, heartbeat.model_dump_json().encode())
        except BUS_ERRORS as error:
            # The next sign of life tries again; this worker knows already.
            logger.info(
                "health of %s is not shared just now: %s", heartbeat.agent_id, str(error) or type(error).__name__
            )

    def _probe_when_due(self, card: AgentCard) -> None:
        key, now = (card.tenant, card.id), self._clock()
        if card.endpoint.kind == "nats" or key in self._probes or self._probe_at.get(key, now) > now:
            return
        # Jitter keeps workers apart, so that one of them probes and the others find its entry fresh.
        self._probe_at[key] = now + self._period_s * random.uniform(0.9, 1.1)
        if not self._is_fresh(key):
            task = self._probes[key] = asyncio.create_task(self._probe_once(card, key))
            task.add_done_callback(lambda done: self._probed(key, done))

    async def _probe_once(self, card: AgentCard, key: AgentKey) -> None:
        async with self._slots, asyncio.timeout(self._period_s):
            able = await self._probe(card)
        if able:
            self._board.hear(key)
            await self._mirror(Heartbeat(agent_id=card.id, tenant=card.tenant))

    def _probed(self, key: AgentKey, task: asyncio.Task[None]) -> None:
        del self._probes[key]
        error = None if task.cancelled() else task.exception()
        if isinstance(error, AgentsError | OSError):
            logger.debug("agent %s does not answer its probe: %s", key[1], error)
        elif error is not None:
            logger.error("the probe of agent %s is broken", key[1], exc_info=error)


def _parse(body: bytes, where: str) -> Heartbeat | None:
    try:
        return Heartbeat.from_peer(body)
    except ValidationError as error:
        logger.debug("what came on %s is no heartbeat: %s", where, error)
        return None

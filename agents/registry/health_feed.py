"""Keeps the health board current: hears signs of life from the bucket, and probes. Called by the fleet.

The bus itself puts heartbeats into the bucket, with the time when they came: a worker that is busy reads them later,
and they are not younger or older by that. What a probe finds is written there, too, for other workers and the doors.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping

from nats.js import JetStreamContext
from pydantic import ValidationError

from agents.errors import AgentsError
from agents.registry.health import AgentKey, HealthBoard
from agents.registry.hearing import HearingClock
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


class HealthFeed:
    """Three loops that run until cancelled and survive restarts of the bus. ``cards`` gives the agents of now."""

    def __init__(
        self,
        js: JetStreamContext,
        board: HealthBoard,
        hearing: HearingClock,
        cards: Callable[[], CardsByTenant],
        probe: Probe,
        clock: Callable[[], float],
        period_s: float = PROBE_EVERY_S,
    ) -> None:
        self._js = js
        self._board = board
        self._hearing = hearing
        self._cards = cards
        self._probe = probe
        self._clock = clock
        self._period_s = period_s
        self._round_s = period_s / 5
        self._heard_at: dict[AgentKey, float] = {}
        self._probe_at: dict[AgentKey, float] = {}
        self._probes: dict[AgentKey, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(PROBES_AT_ONCE)

    def forget(self, key: AgentKey) -> None:
        """The agent was removed."""
        for memory in (self._heard_at, self._probe_at):
            memory.pop(key, None)

    async def watch_for_silence(self) -> None:
        """Note who fell silent, for ever."""
        while True:
            self._board.sweep()
            await asyncio.sleep(self._round_s * random.uniform(0.8, 1.2))

    async def follow_signs(self) -> None:
        """Hear heartbeats, and what other workers probed, for ever. Raises BusUnavailable once the client is closed.

        Signs of agents that are not registered yet are ignored: they are given again each period.
        """
        async for entry in follow(self._js, subjects.BUCKET_HEALTH, level=self._hearing.level):
            if entry.removed:
                continue
            self._hearing.heard(entry.stored_at)
            heartbeat = sign_of(entry.key, entry.value)
            if heartbeat is None:
                continue
            key = (heartbeat.tenant, heartbeat.agent_id)
            if self._board.knows(key):
                self._heard_at[key] = self._hearing()
                self._board.hear(key, heartbeat.load)

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

    def _is_fresh(self, key: AgentKey) -> bool:
        return self._hearing() - self._heard_at.get(key, float("-inf")) < self._period_s * FRESH_SHARE

    async def _share(self, heartbeat: Heartbeat) -> None:
        self._heard_at[heartbeat.tenant, heartbeat.agent_id] = self._hearing()
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
            await self._share(Heartbeat(agent_id=card.id, tenant=card.tenant))

    def _probed(self, key: AgentKey, task: asyncio.Task[None]) -> None:
        del self._probes[key]
        error = None if task.cancelled() else task.exception()
        if isinstance(error, AgentsError | OSError):
            logger.debug("agent %s does not answer its probe: %s", key[1], error)
        elif error is not None:
            logger.error("the probe of agent %s is broken", key[1], exc_info=error)


def sign_of(key: str, body: bytes) -> Heartbeat | None:
    """What stands under a key of the bucket, if it is a sign of life of the agent whose key it is.

    Permissions of the bus guard the subject that a heartbeat comes on, so the key decides for whom it may speak.
    """
    try:
        heartbeat = Heartbeat.from_peer(body)
    except ValidationError as error:
        logger.debug("what came for %s is no heartbeat: %s", key, error)
        return None
    return heartbeat if key == subjects.record_key(heartbeat.tenant, heartbeat.agent_id) else None

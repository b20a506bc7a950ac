"""How heartbeats get into the bucket that doors read: together, and no oftener than once a period."""

import asyncio
from types import SimpleNamespace

from agents.registry.health import HealthBoard
from agents.registry.health_feed import MIRRORED_AT_ONCE, HealthFeed
from schemas import subjects
from schemas.card import AgentCard, Heartbeat

AGENTS = [f"a{number}" for number in range(3 * MIRRORED_AT_ONCE)]
ROUND_S = 0.01


class Bus:
    """A client and its streams: keeps what hears heartbeats, and counts what is written at once."""

    is_closed = True

    def __init__(self) -> None:
        self.written: list[str] = []
        self.waiting = self.most_waiting = 0

    async def subscribe(self, _subject, cb):
        self.hear = cb

    async def publish(self, subject: str, _body: bytes) -> None:
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        await asyncio.sleep(0)
        self.waiting -= 1
        self.written.append(subject)


class Rounds(HealthBoard):
    """Tells when the feed begins another round: what it had to write before is written then."""

    turned: asyncio.Event

    def sweep(self) -> None:
        super().sweep()
        self.turned.set()


class Mirroring:
    """A feed that shares what it hears, with a clock of the test's own."""

    def __init__(self) -> None:
        self.now, self.bus = 0.0, Bus()
        self.board = board = Rounds(lambda: self.now, lambda _tenant: None)
        board.turned = asyncio.Event()
        for agent in AGENTS:
            board.expect(("default", agent))
        self.feed = HealthFeed(self.bus, self.bus, board, dict, _never, lambda: self.now, period_s=5 * ROUND_S)

    async def beat(self, at: float) -> list[str]:
        """All agents are heard at that moment; what is written of it."""
        self.now = at
        for agent in AGENTS:
            body = Heartbeat(agent_id=agent).model_dump_json().encode()
            await self.bus.hear(SimpleNamespace(data=body, subject=subjects.heartbeat("default", agent)))
        self.bus.written.clear()
        for _ in range(2):
            self.board.turned.clear()
            await self.board.turned.wait()
        return list(self.bus.written)


async def _never(_card: AgentCard) -> bool | None:
    raise AssertionError("nobody is probed here")


async def test_heartbeats_of_a_fleet_are_mirrored_together_and_once_a_period():
    mirroring = Mirroring()
    sharing = asyncio.create_task(mirroring.feed.share_heartbeats())
    await asyncio.sleep(0)
    period = 5 * ROUND_S
    assert len(await mirroring.beat(at=0.0)) == len(AGENTS)
    assert 1 < mirroring.bus.most_waiting <= MIRRORED_AT_ONCE
    assert await mirroring.beat(at=period / 2) == []
    assert len(await mirroring.beat(at=period)) == len(AGENTS)
    sharing.cancel()

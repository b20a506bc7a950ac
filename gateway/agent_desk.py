"""What the doors tell of agents: their cards with versions, and whether they are alive. Called by the doors."""

from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, ValidationError

from agents.errors import AgentNotFound
from agents.ports.registry import Registry
from agents.registry.health import HEARTBEAT_TTL_S
from gateway.bus.stream_reader import StreamReader
from gateway.errors import SchemaInvalid
from schemas import subjects
from schemas.base import Moment, now
from schemas.card import AgentCard, CardRevision, Heartbeat, Liveness
from schemas.problem import FieldProblem

_TTL = timedelta(seconds=HEARTBEAT_TTL_S)


class AgentView(BaseModel):
    """An agent as doors show it."""

    model_config = ConfigDict(frozen=True)

    card: AgentCard
    revision: int
    liveness: Liveness
    last_seen: Moment | None = None
    load: float = 0.0


@dataclass(frozen=True, slots=True)
class Sign:
    """The last sign of life of an agent."""

    at: datetime
    load: float


def liveness_of(sign: Sign | None, registered_at: datetime | None, at: datetime) -> Liveness:
    """What the signs mean at a moment: one registered just now has had no chance to be heard."""
    if sign is not None and at - sign.at <= _TTL:
        return Liveness.ALIVE
    if sign is None and registered_at is not None and at - registered_at <= _TTL:
        return Liveness.UNKNOWN
    return Liveness.DEAD


class AgentDesk:
    """Reads and changes the registry for the doors. Raises AgentNotFound, CardInvalid, BusUnavailable."""

    def __init__(self, registry: Registry, cards: StreamReader, health: StreamReader) -> None:
        self._registry = registry
        self._cards = cards
        self._health = health

    async def list_agents(self, tenant: str) -> list[AgentView]:
        """All agents of the tenant by id."""
        revisions = await self._registry.list_cards(tenant)
        signs = await self._signs(tenant, "*")
        return [await self._view(revision, signs.get(revision.card.id)) for revision in revisions]

    async def show(self, tenant: str, agent_id: str) -> AgentView:
        """One agent."""
        revision = await self._registry.get(tenant, agent_id)
        return await self._view(revision, (await self._signs(tenant, agent_id)).get(agent_id))

    async def register(self, tenant: str, card: AgentCard) -> tuple[AgentView, bool]:
        """Store the card as a version; the agent, and whether it is new. A card without a tenant gets the door's."""
        card = _of_tenant(card, tenant)
        known = await self._is_known(tenant, card.id)
        revision = await self._registry.register(card)
        signs = await self._signs(tenant, card.id)
        return await self._view(revision, signs.get(card.id)), not known

    async def history(self, tenant: str, agent_id: str) -> list[CardRevision]:
        """Every version kept, oldest first."""
        return await self._registry.history(tenant, agent_id)

    async def remove(self, tenant: str, agent_id: str) -> None:
        """Take the agent out."""
        await self._registry.remove(tenant, agent_id)

    async def _is_known(self, tenant: str, agent_id: str) -> bool:
        try:
            await self._registry.get(tenant, agent_id)
        except AgentNotFound:
            return False
        return True

    async def _signs(self, tenant: str, agents: str) -> dict[str, Sign]:
        subject = f"$KV.{subjects.BUCKET_HEALTH}.{tenant}.{agents}"
        signs: dict[str, Sign] = {}
        async with aclosing(self._health.since(1, subject)) as stored:
            async for entry in stored:
                if not entry.deleted:
                    signs[_agent_of(entry.subject)] = Sign(entry.stored_at, _load(entry.data))
        return signs

    async def _view(self, revision: CardRevision, sign: Sign | None) -> AgentView:
        registered_at = None if sign else await self._registered_at(revision.card)
        return AgentView(
            card=revision.card,
            revision=revision.revision,
            liveness=liveness_of(sign, registered_at, now()),
            last_seen=sign.at if sign else None,
            load=sign.load if sign else 0.0,
        )

    async def _registered_at(self, card: AgentCard) -> datetime | None:
        """When the present version was stored: asked only of agents that nobody has heard."""
        stored = await self._cards.last(f"$KV.{subjects.BUCKET_AGENTS}.{card.tenant}.{card.id}")
        return stored.stored_at if stored else None


def _of_tenant(card: AgentCard, tenant: str) -> AgentCard:
    if "tenant" not in card.model_fields_set:
        return card.model_copy(update={"tenant": tenant})
    if card.tenant != tenant:
        field = FieldProblem(
            field="tenant", problem=f"the card says {card.tenant}", expected=f"{tenant}, or nothing", example=tenant
        )
        raise SchemaInvalid("the card belongs to another tenant", code="tenant_mismatch", fields=(field,))
    return card


def _agent_of(subject: str) -> str:
    return subject.rsplit(".", 1)[1]


def _load(heartbeat: bytes) -> float:
    try:
        return Heartbeat.from_peer(heartbeat).load
    except ValidationError:
        return 0.0

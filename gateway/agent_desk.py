"""What the doors tell of agents: their cards with versions, and whether they are alive. Called by the doors."""

from collections.abc import Mapping
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
        new = await self._registered_lately(tenant, "*")
        return [_view(revision, signs, new) for revision in revisions]

    async def show(self, tenant: str, agent_id: str) -> AgentView:
        """One agent."""
        return await self._seen(await self._registry.get(tenant, agent_id))

    async def register(self, tenant: str, card: AgentCard) -> tuple[AgentView, bool]:
        """Store the card as a version; the agent, and whether it is new. A card without a tenant gets the door's."""
        card = _of_tenant(card, tenant)
        known = await self._is_known(tenant, card.id)
        return await self._seen(await self._registry.register(card)), not known

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

    async def _seen(self, revision: CardRevision) -> AgentView:
        tenant, agent_id = revision.card.tenant, revision.card.id
        signs = await self._signs(tenant, agent_id)
        return _view(revision, signs, {} if signs else await self._registered_lately(tenant, agent_id))

    async def _registered_lately(self, tenant: str, agents: str) -> dict[str, datetime]:
        """When the cards were stored that had no time yet to be heard of."""
        subject = f"$KV.{subjects.BUCKET_AGENTS}.{tenant}.{agents}"
        async with aclosing(self._cards.since(now() - _TTL, subject)) as stored:
            return {_agent_of(entry.subject): entry.stored_at async for entry in stored}


def _view(revision: CardRevision, signs: Mapping[str, Sign], registered_at: Mapping[str, datetime]) -> AgentView:
    sign = signs.get(revision.card.id)
    return AgentView(
        card=revision.card,
        revision=revision.revision,
        liveness=liveness_of(sign, registered_at.get(revision.card.id), now()),
        last_seen=sign.at if sign else None,
        load=sign.load if sign else 0.0,
    )


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

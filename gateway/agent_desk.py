"""What the doors tell of agents: their cards with versions, and whether they are alive. Called by the doors."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from agents.errors import AgentNotFound
from agents.ports.registry import Registry
from agents.registry.health import HEARTBEAT_TTL_S
from agents.registry.health_feed import sign_of
from agents.registry.kv_feed import KvEntry, subject_of
from agents.registry.kv_registry import revision_of
from gateway.bus.stream_reader import Stored, StreamReader
from gateway.errors import SchemaInvalid
from schemas import subjects
from schemas.base import Moment, is_token, now
from schemas.card import AgentCard, CardRevision, Liveness
from schemas.problem import FieldProblem

_TTL = timedelta(seconds=HEARTBEAT_TTL_S)

PAGE_MAX = 200


class AgentView(BaseModel):
    """An agent as doors show it."""

    model_config = ConfigDict(frozen=True)

    card: AgentCard
    revision: int
    liveness: Liveness
    last_seen: Moment | None = None
    load: float = 0.0


class AgentPage(BaseModel):
    """Some agents of a tenant, by id. ``cursor`` asks for those after them; None when that was all."""

    model_config = ConfigDict(frozen=True)

    agents: tuple[AgentView, ...]
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Registered:
    """A card as it is registered, and since when."""

    revision: CardRevision
    at: datetime | None


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

    async def page(self, tenant: str, *, limit: int, after: str | None = None) -> AgentPage:
        """Up to ``limit`` agents of the tenant by id, those after the id ``after``."""
        at = now()
        ids = [agent_id for agent_id in await self._ids(tenant) if after is None or agent_id > after]
        found: list[Registered] = []
        for start in range(0, len(ids), limit):
            found += await self._registered(tenant, ids[start : start + limit])
            if len(found) >= limit:
                break
        shown = found[:limit]
        signs = await self._signs(tenant, [one.revision.card.id for one in shown])
        views = tuple(_view(one, signs.get(one.revision.card.id), at) for one in shown)
        more = bool(shown) and shown[-1].revision.card.id < ids[-1]
        return AgentPage(agents=views, cursor=shown[-1].revision.card.id if more else None)

    async def every(self, tenant: str) -> list[AgentView]:
        """All agents of the tenant by id."""
        views: list[AgentView] = []
        after: str | None = None
        while True:
            page = await self.page(tenant, limit=PAGE_MAX, after=after)
            views += page.agents
            after = page.cursor
            if after is None:
                return views

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

    async def _ids(self, tenant: str) -> list[str]:
        if not is_token(tenant):
            return []
        return [_agent_of(subject) for subject in await self._cards.subjects(_key(subjects.BUCKET_AGENTS, tenant, "*"))]

    async def _registered(self, tenant: str, ids: Sequence[str]) -> list[Registered]:
        """Those of the agents that are not removed, by id."""
        stored = await self._cards.last_of([_key(subjects.BUCKET_AGENTS, tenant, agent_id) for agent_id in ids])
        found = [Registered(revision, one.stored_at) for one in stored if (revision := _revision(one)) is not None]
        return sorted(found, key=lambda one: one.revision.card.id)

    async def _signs(self, tenant: str, ids: Sequence[str]) -> dict[str, Sign]:
        """What the bus stored of each, with the bus's own time: whoever reads it late does not make it older."""
        stored = await self._health.last_of([_key(subjects.BUCKET_HEALTH, tenant, agent_id) for agent_id in ids])
        heard = [(one, sign_of(f"{tenant}.{_agent_of(one.subject)}", one.data)) for one in stored if not one.deleted]
        return {beat.agent_id: Sign(one.stored_at, beat.load) for one, beat in heard if beat is not None}

    async def _seen(self, revision: CardRevision) -> AgentView:
        at, tenant, agent_id = now(), revision.card.tenant, revision.card.id
        signs = await self._signs(tenant, [agent_id])
        stored = None if signs else await self._cards.last(_key(subjects.BUCKET_AGENTS, tenant, agent_id))
        return _view(Registered(revision, stored.stored_at if stored else None), signs.get(agent_id), at)


def _view(one: Registered, sign: Sign | None, at: datetime) -> AgentView:
    return AgentView(
        card=one.revision.card,
        revision=one.revision.revision,
        liveness=liveness_of(sign, one.at, at),
        last_seen=sign.at if sign else None,
        load=sign.load if sign else 0.0,
    )


def _revision(stored: Stored) -> CardRevision | None:
    if stored.deleted:
        return None
    return revision_of(KvEntry(stored.subject, stored.data, stored.seq, removed=False, stored_at=stored.stored_at))


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


def _key(bucket: str, tenant: str, agent_id: str) -> str:
    return subject_of(bucket, f"{tenant}.{agent_id}")

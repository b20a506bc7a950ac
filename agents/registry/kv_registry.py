"""The registry over its bucket: every card change is a version. Called by doors, the card folder and the fleet."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import Header
from nats.js.errors import APIError, KeyDeletedError, KeyNotFoundError, NotFoundError
from nats.js.kv import KV_DEL, KV_OP
from pydantic import ValidationError

from agents.errors import AgentNotFound, BusUnavailable, CardInvalid, CardProblem
from agents.registry.kv_feed import KvEntry, bus_errors, follow, snapshot, stream_of, subject_of
from schemas import subjects
from schemas.base import is_token
from schemas.card import AgentCard, CardRevision

logger = logging.getLogger(__name__)

_ATTEMPTS = 20
_CARDS_PER_TURN = 50
_WRONG_LAST_SEQUENCE = frozenset({10071, 10164})
_TOO_LARGE = frozenset({10054})


class KvRegistry:
    """ports.Registry on the bucket ``aos_agents``. Safe for concurrent use from many processes.

    Writes compare and set, so that of two writers at once none is overwritten unseen. A removal is a delete marker
    that carries the removed card: the history stays, and whoever follows learns which card went.
    """

    def __init__(self, js: JetStreamContext, bucket: str = subjects.BUCKET_AGENTS) -> None:
        self._js = js
        self._bucket = bucket

    async def register(self, card: AgentCard) -> CardRevision:
        """Store the card as a new version. Raises CardInvalid when it is too large for the bus, BusUnavailable."""
        key = subjects.record_key(card.tenant, card.id)
        for attempt in range(_ATTEMPTS):
            entry = await self._last(key)
            present = revision_of(entry) if entry and not entry.removed else None
            if present is not None and present.card == card:
                return present
            revision = await self._write(key, card, entry.revision if entry else 0)
            if revision is not None:
                return CardRevision(card=card, revision=revision)
            await _back_off(attempt)
        raise BusUnavailable(f"agent {card.id!r} is being changed by too many writers at once; try again")

    async def get(self, tenant: str, agent_id: str) -> CardRevision:
        """The present version. Raises AgentNotFound, BusUnavailable."""
        return _present(await self._last(_key(tenant, agent_id)), tenant, agent_id)

    async def list_cards(self, tenant: str | None = None) -> list[CardRevision]:
        """All present cards, ordered by tenant and id. Raises BusUnavailable."""
        if tenant is not None and not is_token(tenant):
            return []
        entries = await snapshot(self._js, self._bucket, f"{tenant}.*" if tenant else ">")
        found: list[CardRevision] = []
        for number, entry in enumerate(entries):
            revision = None if entry.removed else revision_of(entry)
            if revision is not None:
                found.append(revision)
            if number % _CARDS_PER_TURN == _CARDS_PER_TURN - 1:
                await asyncio.sleep(0)
        return sorted(found, key=lambda r: (r.card.tenant, r.card.id))

    async def history(self, tenant: str, agent_id: str) -> list[CardRevision]:
        """Every version kept (64 at most), oldest first. Raises AgentNotFound, BusUnavailable."""
        entries = await snapshot(self._js, self._bucket, _key(tenant, agent_id), history=True)
        revisions: list[CardRevision] = []
        for entry in entries:
            revision = revision_of(entry, revisions[-1].card if revisions else None)
            if revision is not None:
                revisions.append(revision)
        if not revisions:
            raise _not_found(tenant, agent_id)
        return revisions

    async def remove(self, tenant: str, agent_id: str) -> None:
        """Take the agent out; its history stays. Raises AgentNotFound, BusUnavailable."""
        key = _key(tenant, agent_id)
        for attempt in range(_ATTEMPTS):
            present = _present(await self._last(key), tenant, agent_id)
            if await self._write(key, present.card, present.revision, {KV_OP: KV_DEL}) is not None:
                return
            await _back_off(attempt)
        raise BusUnavailable(f"agent {agent_id!r} is being changed by too many writers at once; try again")

    async def last_revision(self) -> int:
        """The number of the newest change, whatever it changed. Raises BusUnavailable."""
        with bus_errors("read the registry"):
            return (await self._js.stream_info(stream_of(self._bucket))).state.last_seq

    async def watch(self) -> AsyncIterator[CardRevision]:
        """Every present card, then every change as it happens. Raises BusUnavailable once the client is closed."""
        cards: dict[str, AgentCard] = {}
        async for entry in follow(self._js, self._bucket):
            revision = revision_of(entry, cards.get(entry.key))
            if revision is None:
                continue
            if revision.removed:
                cards.pop(entry.key, None)
            else:
                cards[entry.key] = revision.card
            yield revision

    async def _last(self, key: str) -> KvEntry | None:
        """The newest revision, a removal included, read from the stream's leader so that writes are seen."""
        with bus_errors("read the registry"):
            try:
                message = await self._js.get_last_msg(stream_of(self._bucket), subject_of(self._bucket, key))
            except (NotFoundError, KeyNotFoundError, KeyDeletedError):
                return None
        removed = (message.headers or {}).get(KV_OP) is not None
        return KvEntry(key, message.data or b"", message.seq or 0, removed, message.time or datetime.now(UTC))

    async def _write(
        self, key: str, card: AgentCard, last_revision: int, headers: dict[str, str] | None = None
    ) -> int | None:
        """The new revision, or None when somebody else wrote meanwhile."""
        expect = {**(headers or {}), Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(last_revision)}
        body = card.model_dump_json().encode()
        with bus_errors("write the registry"):
            try:
                ack = await self._js.publish(subject_of(self._bucket, key), body, headers=expect)
            except nats.errors.MaxPayloadError as error:
                raise _too_large(card, len(body)) from error
            except APIError as error:
                if error.err_code in _WRONG_LAST_SEQUENCE:
                    return None
                if error.err_code in _TOO_LARGE:
                    raise _too_large(card, len(body)) from error
                raise
        return ack.seq


def _key(tenant: str, agent_id: str) -> str:
    if not is_token(tenant) or not is_token(agent_id):
        raise _not_found(tenant, agent_id)
    return subjects.record_key(tenant, agent_id)


def _present(entry: KvEntry | None, tenant: str, agent_id: str) -> CardRevision:
    revision = revision_of(entry) if entry and not entry.removed else None
    if revision is None:
        raise _not_found(tenant, agent_id)
    return revision


def revision_of(entry: KvEntry, before: AgentCard | None = None) -> CardRevision | None:
    """The entry as a revision; ``before`` stands in when a foreign tool removed the key without saying the card."""
    if entry.removed and not entry.value:
        return CardRevision(card=before, revision=entry.revision, removed=True) if before else None
    try:
        card = AgentCard.from_peer(entry.value)
    except ValidationError as error:
        logger.warning("registry entry %s (revision %d) is no card: %s", entry.key, entry.revision, error)
        return None
    return CardRevision(card=card, revision=entry.revision, removed=entry.removed)


def _not_found(tenant: str, agent_id: str) -> AgentNotFound:
    return AgentNotFound(f"no agent {agent_id!r} is registered for tenant {tenant!r}")


def _too_large(card: AgentCard, size_bytes: int) -> CardInvalid:
    problem = CardProblem(
        file="",
        line=1,
        field="skills",
        problem=f"the card of {card.id!r} has {size_bytes} bytes, which is more than the bus takes",
        expected="a card below 1 MB",
        example="fewer or shorter examples and descriptions",
    )
    return CardInvalid(str(problem), (problem,))


async def _back_off(attempt: int) -> None:
    await asyncio.sleep(random.uniform(0, 0.005 * (attempt + 1)))

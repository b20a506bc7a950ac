"""The bucket of auditions. Called by the desk, by learning, and by the commands that show and forget them.

Each is one value that grows. It is written with compare-and-set: of two roles at once that would audition the same
agent, one finds out.
"""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from nats.js import JetStreamContext
from nats.js.errors import BucketNotFoundError, KeyWrongLastSequenceError, NoKeysError
from pydantic import ValidationError

from agents.errors import BusUnavailable
from agents.registry.kv_feed import KvEntry, bus_errors, snapshot
from schemas import subjects
from schemas.audition import AUDITION_OF, Audition
from schemas.experience import ExperienceRecord


@dataclass(frozen=True, slots=True)
class HeldAudition:
    """An audition as it was read or written."""

    audition: Audition
    revision: int
    written_at: datetime


class TakenByAnother(Exception):
    """Another role auditions this agent."""


class Auditions:
    """Of all tenants. Raises BusUnavailable."""

    def __init__(self, js: JetStreamContext) -> None:
        self._js = js

    async def all(self, tenant: str | None = None) -> list[HeldAudition]:
        """Every one that reads, oldest first; none where no role has made the bucket yet."""
        try:
            with bus_errors("look for the bucket of auditions"):
                await self._js.key_value(subjects.BUCKET_AUDITIONS)
        except BusUnavailable as error:
            if isinstance(error.__cause__, BucketNotFoundError):
                return []
            raise
        entries = await snapshot(self._js, subjects.BUCKET_AUDITIONS, f"{tenant}.*" if tenant else ">")
        held = [
            HeldAudition(audition, entry.revision, entry.stored_at)
            for entry in entries
            if (audition := read(entry)) is not None
        ]
        return sorted(held, key=lambda one: (one.audition.began, one.audition.agent_id))

    async def agents(self) -> set[tuple[str, str]]:
        """Tenant and agent id of all: of the values nothing is read."""
        with bus_errors("list auditions"):
            bucket = await self._js.key_value(subjects.BUCKET_AUDITIONS)
            with suppress(NoKeysError):
                keys = await bucket.keys()
                return {(tenant, agent) for tenant, _, agent in (key.partition(".") for key in keys)}
        return set()

    async def write(self, audition: Audition, revision: int) -> int:
        """Store it in place of ``revision`` (0: there was none). The new revision. Raises TakenByAnother."""
        key = subjects.record_key(audition.tenant, audition.agent_id)
        with bus_errors("store what was auditioned"):
            bucket = await self._js.key_value(subjects.BUCKET_AUDITIONS)
            try:
                return await bucket.update(key, audition.model_dump_json().encode(), last=revision)
            except KeyWrongLastSequenceError as error:
                raise TakenByAnother(key) from error

    async def remove(self, tenant: str, agent_id: str) -> None:
        """Forget one: the agent is auditioned again, if it is still a newcomer."""
        with bus_errors("remove an audition"):
            bucket = await self._js.key_value(subjects.BUCKET_AUDITIONS)
            await bucket.purge(subjects.record_key(tenant, agent_id))

    async def forget(self, tenant: str, tasks: Collection[str]) -> int:
        """Take out the records of answers to these tasks, also those that come meanwhile; how many there were."""
        gone = 0
        while found := [one for one in await self.all(tenant) if _about(one.audition, tasks)]:
            for held in found:
                about = _about(held.audition, tasks)
                left = tuple(record for record in held.audition.records if record not in about)
                with suppress(TakenByAnother):  # it grew: looked at again
                    await self.write(held.audition.model_copy(update={"records": left}), held.revision)
                    gone += len(about)
        return gone


def _about(audition: Audition, tasks: Collection[str]) -> list[ExperienceRecord]:
    return [record for record in audition.records if record.labels.get(AUDITION_OF) in tasks]


def read(entry: KvEntry) -> Audition | None:
    """None for one that was removed, or that another release wrote differently: it must not hide the others."""
    if entry.removed:
        return None
    try:
        return Audition.from_peer(entry.value)
    except ValidationError:
        return None

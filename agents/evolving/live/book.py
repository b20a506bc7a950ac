"""Templates of all kinds in the ``aos_plans`` bucket, and this worker's view of them. Called by ``planner``.

The bucket is the truth, shared by all workers: its last value of a kind counts, whoever wrote it and whatever their
clocks say. Reads are local. What cannot be written is only lost for others: the
next task of the kind writes it again.
"""

import asyncio
import logging

from nats.js import JetStreamContext
from nats.js.kv import KV_DEL, KV_OP
from pydantic import ValidationError

from agents.background_tasks import begun, ended
from agents.errors import BusUnavailable
from agents.evolving.archive import Archive, Winner
from agents.evolving.live.binding import unpacked
from agents.evolving.live.kinds import Goals, Kinds, Met
from agents.evolving.live.own_writes import OwnWrites
from agents.planning.pasts import Pasts
from agents.registry.kv_feed import KvEntry, bus_errors, follow, snapshot, subject_of
from schemas.base import Message
from schemas.network import Network
from schemas.refinement import PlanningPast, PlanTemplate
from schemas.subjects import BUCKET_PLANS, PLANNING_PAST, record_key
from tensor_layer.ports import Vector

logger = logging.getLogger(__name__)

ARCHIVED = 256


class PlanBook:
    """Templates by tenant and kind. Without a bus it is this process's own."""

    def __init__(self, js: JetStreamContext | None = None, pasts: Pasts | None = None) -> None:
        self._js = js
        self._pasts = pasts
        self._templates: dict[str, dict[str, PlanTemplate]] = {}
        self._kinds: dict[str, Kinds] = {}
        self._archives: dict[tuple[str, int], Archive] = {}
        """By tenant and the vectors' dimension: another encoder's are not compared."""
        self._doubted: set[tuple[str, str]] = set()
        self._own = OwnWrites()
        self._following: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Read all that is there, then follow. A bus that does not answer only means that tasks are planned anew."""
        if self._js is None:
            return
        try:
            for entry in await snapshot(self._js, BUCKET_PLANS):
                await self._note(entry)
        except BusUnavailable as error:
            logger.warning("the plans of kinds of task cannot be read yet: %s", error)
        self._following = begun((self._follow,), "the plans of kinds")

    async def stop(self) -> None:
        """Stop following."""
        await ended(*self._following)

    def meet(self, tenant: str, shape: str, goals: Goals, vector: Vector | None) -> tuple[PlanTemplate, Met] | None:
        """The template for such a task, with how its kind was recognised."""
        kinds = self._kinds.get(tenant)
        met = kinds.meet(shape, goals, vector) if kinds else None
        return (self._templates[tenant][met.kind], met) if met else None

    def template(self, tenant: str, kind: str) -> PlanTemplate | None:
        """That kind's template as it stands."""
        return self._templates.get(tenant, {}).get(kind)

    def also(self, template: PlanTemplate, goals: Goals) -> None:
        """These words are of that kind, too."""
        if self.template(template.tenant, template.kind) is not None:
            vector = unpacked(template.vector)
            self._kinds[template.tenant].found(template.kind, template.shape, goals, vector)

    def elsewhere(self, tenant: str, goals: Goals, woven: tuple[str, ...]) -> PlanTemplate | None:
        """The newest evolved network for the same words under another routing policy that chose the same agents."""
        newest_first = reversed(self._templates.get(tenant, {}).values())
        same = (one for one in newest_first if one.refined and one.woven == woven and goals in one.wordings)
        return next(same, None)

    def doubt(self, tenant: str, kind: str) -> None:
        """A task of the kind failed: the next one is looked at anew."""
        if self.template(tenant, kind) is not None:
            self._doubted.add((tenant, kind))

    def was_doubted(self, tenant: str, kind: str) -> bool:
        """Whether a task of the kind failed since this was last asked."""
        doubted = (tenant, kind) in self._doubted
        self._doubted.discard((tenant, kind))
        return doubted

    def alike(self, tenant: str, vector: Vector | None) -> list[Network]:
        """Networks that won for tasks like this one, most alike first."""
        archive = self._archives.get((tenant, len(vector))) if vector is not None else None
        return archive.alike(vector) if archive is not None and vector is not None else []

    async def keep(self, template: PlanTemplate) -> None:
        """The kind's template from now on, here at once and elsewhere soon."""
        await self.share(template, self.take(template))

    async def share(self, template: PlanTemplate, evicted: str | None) -> None:
        """Tell other workers of what ``take`` took."""
        await self._write(template.tenant, template.kind, template)
        if evicted is not None:
            await self._remove(template.tenant, evicted)

    async def write_past(self, stored: PlanningPast) -> None:
        """What planning knows of the past, for workers that start."""
        await self._write(stored.tenant, PLANNING_PAST, stored)

    async def _write(self, tenant: str, key: str, value: Message) -> None:
        if self._js is None:
            return
        try:
            with bus_errors(f"write bucket {BUCKET_PLANS}"):
                await self._js.publish(
                    subject_of(BUCKET_PLANS, record_key(tenant, key)), value.model_dump_json().encode()
                )
        except BusUnavailable as error:
            logger.warning("%s of tenant %s cannot be shared just now: %s", key, tenant, error)

    async def _remove(self, tenant: str, kind: str) -> None:
        if self._js is None:
            return
        try:
            with bus_errors(f"write bucket {BUCKET_PLANS}"):
                subject = subject_of(BUCKET_PLANS, record_key(tenant, kind))
                await self._js.publish(subject, b"", headers={KV_OP: KV_DEL})
        except BusUnavailable as error:
            logger.warning("kind %s of tenant %s cannot be forgotten just now: %s", kind, tenant, error)

    def take(self, template: PlanTemplate) -> str | None:
        """The kind's template from now on, here; gives back the kind that had to make room."""
        if self._js is not None:
            self._own.wrote((template.tenant, template.kind), template.at)
        return self._take(template)

    def _take(self, template: PlanTemplate) -> str | None:
        tenant, vector = template.tenant, unpacked(template.vector)
        templates = self._templates.setdefault(tenant, {})
        templates.pop(template.kind, None)  # the newest stands last
        templates[template.kind] = template
        kinds = self._kinds.setdefault(tenant, Kinds())
        evicted = None
        for goals in template.wordings or ((),):
            evicted = kinds.found(template.kind, template.shape, goals, vector) or evicted
        if evicted is not None:
            templates.pop(evicted, None)
            self._doubted.discard((tenant, evicted))
            self._own.forget((tenant, evicted))
        if template.refined and vector is not None:
            archive = self._archives.setdefault((tenant, len(vector)), Archive(len(vector), ARCHIVED))
            archive.keep(Winner(vector, template.network, template.worth))
        return evicted

    def _drop(self, tenant: str, kind: str) -> None:
        self._own.forget((tenant, kind))
        template = self._templates.get(tenant, {}).pop(kind, None)
        if template is not None:
            self._kinds[tenant].forget(kind)
            self._doubted.discard((tenant, kind))
            vector = unpacked(template.vector)
            if vector is not None and (archive := self._archives.get((tenant, len(vector)))) is not None:
                archive.forget(vector)

    def _hear(self, template: PlanTemplate) -> str | None:
        overtaken = self._own.is_overtaken((template.tenant, template.kind), template.at)
        return None if overtaken else self._take(template)

    async def _follow(self) -> None:
        assert self._js is not None
        try:
            async for entry in follow(self._js, BUCKET_PLANS):
                await self._note(entry)
        except BusUnavailable as error:
            logger.info("the plans of kinds of task are followed no more: %s", error)

    async def _note(self, entry: KvEntry) -> None:
        """What makes room here makes room in the bucket: else kinds lie there that no worker knows any more."""
        evicted = self._read(entry)
        if evicted is not None:
            await self._remove(entry.key.partition(".")[0], evicted)

    def _read(self, entry: KvEntry) -> str | None:
        """Gives back the kind that had to make room."""
        tenant, _, key = entry.key.partition(".")
        if entry.removed:
            self._drop(tenant, key)
            return None
        try:
            if key != PLANNING_PAST:
                return self._hear(PlanTemplate.from_peer(entry.value))
            if self._pasts is not None:
                self._pasts.restore(PlanningPast.from_peer(entry.value))
        except (ValidationError, ValueError) as error:
            logger.warning("%s was written by another release and is left out: %s", entry.key, error)
        return None

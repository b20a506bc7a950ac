"""Auditions whoever comes, for as long as the evolution role runs. Started by ``gateway.roles.evolution``.

Looks again whenever a card changes, and now and then where somebody may still be due. Of several roles at once one
auditions an agent; what it leaves undone, being killed, another one finishes.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from agents.background_tasks import begun, ended
from agents.connectors.wiring import connectors
from agents.errors import BusUnavailable
from agents.journey.records import TaskRecords
from agents.ports.registry import Registry
from agents.registry.arrivals import key_of
from agents.registry.kv_registry import KvRegistry
from agents.registry.skill_text import SkillVectors, points_of, texts_of
from evolution.errors import EvolutionError
from evolution.ports import ExperienceQuery, ExperienceStore
from gateway.agent_desk import AgentDesk, AgentView
from gateway.auditions.choosing import NEWCOMER_STEPS, Piece, programme, repeatable, steps_by_agent
from gateway.auditions.keeping import Auditions, HeldAudition, TakenByAnother
from gateway.auditions.stage import Stage
from gateway.bus.stream_reader import StreamReader
from gateway.foundation import Bus, open_blobs
from gateway.replay.asked import Kept
from gateway.replay.lane import Lane
from gateway.replay.shadow import HARMLESS
from gateway.settings import Settings
from schemas import subjects
from schemas.audition import AUDITION_OF, Audition
from schemas.base import now
from schemas.card import AgentCard, Liveness
from schemas.experience import ExperienceRecord
from tensor_layer.errors import EncoderUnavailable, TensorLayerError
from tensor_layer.ports import TextEncoder
from tensor_layer.wiring import remote_text_encoder

logger = logging.getLogger(__name__)

LEAST_TASKS = 500
"""With fewer tasks behind it a fleet has no newcomers: all are new."""
RECENT_TASKS = 2_000
AGENTS_AT_ONCE = 8
AT_ONCE = 4
"""Tasks that one agent is asked at a time, if its card allows so many."""
LOOK_EVERY_S = 10.0
AWAITED_S = 0.5
"""So soon after a card came is its agent looked for again, until it is heard or its time is over."""
ENCODER_RETRY_S = 5.0
ABANDONED_AFTER = timedelta(seconds=180)
"""An audition that nobody has added to for so long, some answers' longest times, is gone on with."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How many past tasks a newcomer is asked, and how many tasks must have been done before anybody is one."""

    wanted: int
    least_tasks: int = LEAST_TASKS
    look_every_s: float = LOOK_EVERY_S


class AuditionDesk:
    """Failures of the bus, the store and the encoder are logged and tried again."""

    def __init__(
        self, agents: AgentDesk, registry: Registry, store: ExperienceStore, auditions: Auditions, stage: Stage,
        encoder: TextEncoder, terms: Terms,
    ) -> None:  # fmt: skip
        self._agents = agents
        self._registry = registry
        self._store = store
        self._auditions = auditions
        self._stage = stage
        self._encoder = encoder
        self._vectors = SkillVectors(encoder.encode)
        self._terms = terms
        self._known: set[tuple[str, str]] = set()
        self._over: set[tuple[str, str]] = set()
        self._settled: set[str] = set()
        """Tenants without anybody who may still be due: nothing is asked of them before a card changes."""
        self._places = asyncio.Semaphore(AGENTS_AT_ONCE)
        self._changed = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set; answers under way are dropped then, and asked for again by whoever goes on."""
        background = begun((self._follow, self._look_again_and_again), "auditions")
        stopped = asyncio.create_task(stop.wait())
        try:
            done, _ = await asyncio.wait([*background, stopped], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await ended(stopped, *background)

    async def _follow(self) -> None:
        async for revision in self._registry.watch():
            self._settled.discard(revision.card.tenant)
            if revision.removed:
                self._known.discard(key_of(revision))
                self._over.discard(key_of(revision))
            self._changed.set()

    async def _look_again_and_again(self) -> None:
        awaited = False
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), AWAITED_S if awaited else self._terms.look_every_s)
            self._changed.clear()
            try:
                awaited = await self.look()
            except (EvolutionError, BusUnavailable, TensorLayerError) as error:
                logger.warning("newcomers wait for their auditions: %s", error)

    async def look(self) -> bool:
        """Audition all that are due now, some at once; whether a card has come whose agent nobody heard yet.

        Raises BusUnavailable, EvolutionError, TensorLayerError.
        """
        awaited = False
        taken_out = self._over - await self._auditions.agents() if self._over else set()
        self._over -= taken_out  # such a one is asked for again
        self._settled -= {tenant for tenant, _ in taken_out}
        for tenant in await self._store.tenants():
            if tenant in self._settled or await self._store.count(tenant) < self._terms.least_tasks:
                continue
            self._settled.add(tenant)  # unless a card changes while this one is looked at
            views = await self._agents.every(tenant)
            if any(self._may_become_due(view) for view in views):
                self._settled.discard(tenant)
            awaited |= any(view.liveness is Liveness.UNKNOWN and HARMLESS in view.card.tags for view in views)
            due = [view for view in views if self._may_be_due(view)]
            if not due:
                continue
            records = await self._store.find(ExperienceQuery(tenant=tenant, limit=RECENT_TASKS))
            steps, tasks = steps_by_agent(records), repeatable(records, self._encoder.version.version)
            held = {one.audition.agent_id: one for one in await self._auditions.all(tenant)}
            newcomers = []
            for view in due:
                key, before = (tenant, view.card.id), held.get(view.card.id)
                if before is None and steps[view.card.id] >= NEWCOMER_STEPS:
                    self._known.add(key)
                elif before is not None and before.audition.done:
                    self._over.add(key)
                elif before is None or now() - before.written_at > ABANDONED_AFTER:
                    newcomers.append(self._audition(view.card, tasks, before))
            ended = await asyncio.gather(*newcomers, return_exceptions=True)
            for problem in filter(None, ended):
                raise problem
        return awaited

    def _may_be_due(self, view: AgentView) -> bool:
        return view.liveness is Liveness.ALIVE and self._may_become_due(view)

    def _may_become_due(self, view: AgentView) -> bool:
        key = (view.card.tenant, view.card.id)
        return HARMLESS in view.card.tags and key not in self._known and key not in self._over

    async def _audition(self, card: AgentCard, tasks: list[ExperienceRecord], before: HeldAudition | None) -> None:
        """From where it was left off."""
        audition = Audition(tenant=card.tenant, agent_id=card.id, wanted=self._terms.wanted)
        revision = 0
        if before is not None:
            audition, revision = before.audition, before.revision
        points = points_of(card, await self._vectors.of(texts_of(card)))
        asked = {record.labels.get(AUDITION_OF) for record in audition.records}
        pieces = [one for one in programme(tasks, points, audition.wanted) if one.record.task_id not in asked]
        async with self._places:
            with suppress(TakenByAnother):
                await self._play(card, audition, revision, pieces[: audition.wanted - len(audition.records)])

    async def _play(self, card: AgentCard, audition: Audition, revision: int, pieces: list[Piece]) -> None:
        """What was answered is kept after every few, and the first time before anybody is asked. Raises TakenByAnother.

        An agent that cannot be reached any more is gone on with later.
        """
        revision = await self._auditions.write(audition, revision)
        at_once = min(AT_ONCE, card.concurrency)
        for start in range(0, len(pieces), at_once):
            heard = await self._stage.hear(card, pieces[start : start + at_once])
            audition = audition.model_copy(update={"records": audition.records + heard.records})
            revision = await self._auditions.write(audition, revision)
            if heard.unreachable:
                logger.warning("the audition of agent %s is interrupted: %s", card.id, heard.unreachable)
                return
        await self._auditions.write(audition.model_copy(update={"done": True}), revision)
        good = sum(record.success for record in audition.records)
        logger.info("agent %s was auditioned: %d of %d past tasks done", card.id, good, len(audition.records))


async def audition_newcomers(settings: Settings, bus: Bus, store: ExperienceStore, stop: asyncio.Event) -> None:
    """Audition until ``stop`` is set; nothing where learning or auditions are switched off."""
    if not (settings.learning.enabled and settings.learning.auditions):
        return
    encoder = await _encoder_of(bus, stop)
    if encoder is None:
        return
    agents, blobs, registry = settings.agents, open_blobs(settings), KvRegistry(bus.js)
    directory = connectors(
        bus.nc,
        blobs,
        python_folders=(agents.cards_dir.absolute(),) if agents.cards_dir else (),
        python_packages=agents.python_packages,
        gateway_url=settings.public_url,
        python_children=agents.python_children,
    )
    try:
        records = TaskRecords(await bus.js.key_value(subjects.BUCKET_TASKS))
        health = StreamReader(bus.nc, f"KV_{subjects.BUCKET_HEALTH}")
        cards = StreamReader(bus.nc, f"KV_{subjects.BUCKET_AGENTS}")
        stage = Stage(Lane(directory), Kept(records, blobs))
        desk = AuditionDesk(
            AgentDesk(registry, cards, health), registry, store, Auditions(bus.js), stage, encoder,
            Terms(settings.learning.auditions),
        )  # fmt: skip
        await desk.run(stop)
    finally:
        await directory.close()


async def _encoder_of(bus: Bus, stop: asyncio.Event) -> TextEncoder | None:
    """That of whoever perceives, once it answers; None when told to stop before."""
    while not stop.is_set():
        try:
            return await remote_text_encoder(bus.nc)
        except EncoderUnavailable as error:
            logger.info("auditions wait for an encoder: %s", error)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), ENCODER_RETRY_S)
    return None

"""Learns from the store's experience for as long as the evolution role runs. Started by ``gateway.roles.evolution``.

At start each tenant's past is studied from scratch (``beginning``), with what people said of it and what newcomers
answered in their auditions; then every record as it is stored. Remarks are heard at once, and looked up in the store
each minute, for those that came while nobody listened. Studying happens in a thread, some milliseconds at a time; when
a version is due, ``terms`` say.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from nats.aio.client import Client
from nats.aio.msg import Msg
from pydantic import ValidationError

from agents.background_tasks import begun, ended
from agents.errors import BusUnavailable
from agents.matching.live.lessons import dimension_of
from agents.matching.live.past import CAPACITY
from agents.registry.kv_feed import follow
from evolution.errors import EvolutionError
from evolution.judging import last_judging
from evolution.ports import ExperienceQuery, ExperienceStore
from gateway.auditions.keeping import Auditions, read
from gateway.learning.beginning import days_before, latest_of_each, latest_records
from gateway.learning.publishing import Publisher
from gateway.learning.pupil import Pupil, teach
from gateway.learning.terms import Terms
from schemas import subjects
from schemas.audition import Audition
from schemas.base import now
from schemas.experience import ExperienceRecord, Feedback
from tensor_layer.errors import TensorLayerError

logger = logging.getLogger(__name__)

STUDY_AT_ONCE = 128
"""About 20 ms of one thread: the recorder beside it waits no longer."""
WAITING_MAX = 1_024
"""Records read and not studied yet. Where cores are too few to keep up, all others wait in the store, not in memory."""
LOOK_EVERY_S = 0.25
LOOK_BACK_EVERY_S = 60.0
RETRY_S = 5.0
OVERLAP = timedelta(seconds=10)
"""What comes late by no more than that is not missed when the store was away; what comes twice is passed over."""


class School:
    """Every tenant's pupil. Failures are logged and tried again: recording must go on whatever is wrong here."""

    def __init__(
        self, nc: Client, store: ExperienceStore, publisher: Publisher, terms: Terms,
        look_back_every_s: float = LOOK_BACK_EVERY_S,
    ) -> None:  # fmt: skip
        self._nc = nc
        self._store = store
        self._publisher = publisher
        self._terms = terms
        self._pupils: dict[str, Pupil] = {}
        self._published_at: dict[str, float] = {}
        self._records: deque[ExperienceRecord] = deque()
        self._feedback: dict[str, deque[Feedback]] = {}
        self._looked_back: dict[str, tuple[str, set[str]]] = {}
        self._look_back_every_s = look_back_every_s
        self._auditions = Auditions(nc.jetstream())
        self._auditioned: set[tuple[str, str]] = set()
        self._answered: set[str] = set()
        self._urgent: set[str] = set()
        self._tenants_begun: set[str] = set()
        self._beginning: str | None = None
        """Whose past is being studied: no version is made of half of it."""
        self._begun = asyncio.Event()
        self._studied = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set."""
        hearing = await self._nc.subscribe(subjects.FEEDBACK_ALL, cb=self._hear)
        background = begun((self._read, self._look_back, self._watch_auditions), "learning from the store")
        try:
            while not stop.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK_EVERY_S)
                await self._study()
                await self._publish_due()
        finally:
            await ended(*background)
            with suppress(Exception):
                await hearing.unsubscribe()

    async def _read(self) -> None:
        """Every tenant's past, then every record that comes, for ever."""
        started = since = now()
        while True:
            try:
                await self._begin(started)
                async for record in self._store.tail(ExperienceQuery(since=since)):
                    since = max(since, record.at - OVERLAP)
                    self._records.append(record)
                    await self._until_fewer_wait(WAITING_MAX)
            except (EvolutionError, BusUnavailable) as error:
                logger.warning("learning waits for experience: %s", error)
            await asyncio.sleep(RETRY_S)

    async def _begin(self, until: datetime) -> None:
        """One tenant after the other, so that no more than one past waits in memory; each once."""
        auditions: dict[str, list[Audition]] = {}
        for held in await self._auditions.all():
            auditions.setdefault(held.audition.tenant, []).append(held.audition)
        tenants = sorted({*await self._store.tenants(), *auditions})
        for tenant in tenants:
            if tenant not in self._tenants_begun:
                self._beginning = tenant
                await self._begin_tenant(tenant, until, latest_of_each(len(tenants)), auditions.get(tenant, []))
                self._tenants_begun.add(tenant)
        self._beginning = None
        self._urgent.clear()
        self._begun.set()

    async def _begin_tenant(self, tenant: str, until: datetime, most: int, auditions: Sequence[Audition]) -> None:
        self._pupils.pop(tenant, None)  # it may have begun, and the store have gone away
        latest = await latest_records(self._store, tenant, until, most)
        if len(latest) == most:
            async for part in days_before(self._store, tenant, latest):
                await self._take(tenant, part)
        answers = [record for audition in auditions for record in self._answers(audition)]
        await self._take(tenant, sorted([*latest, *answers], key=lambda record: record.at))
        await self._until_fewer_wait(1)

    async def _take(self, tenant: str, records: Sequence[ExperienceRecord]) -> None:
        """Have these studied, with what was said of them."""
        await self._look_up(tenant, [record.task_id for record in records])
        self._records += records
        await self._until_fewer_wait(WAITING_MAX)

    async def _until_fewer_wait(self, records: int) -> None:
        while len(self._records) >= records:
            self._studied.clear()
            await self._studied.wait()

    async def _watch_auditions(self) -> None:
        """What newcomers answer is learned as it comes; once one has done, a version is due."""
        await self._begun.wait()
        async for entry in follow(self._nc.jetstream(), subjects.BUCKET_AUDITIONS):
            audition = read(entry)
            if audition is not None:
                self._records += self._answers(audition)

    def _answers(self, audition: Audition) -> list[ExperienceRecord]:
        """Those that were not learned yet."""
        key = audition.tenant, audition.agent_id
        if audition.done and key not in self._auditioned:
            self._auditioned.add(key)
            self._urgent.add(audition.tenant)
        news = [record for record in audition.records if record.record_id not in self._answered]
        self._answered |= {record.record_id for record in news}
        return news

    async def _look_back(self) -> None:
        """What was said of the latest tasks, again and again: some of it came while nobody listened.

        Asked are tasks that were none of the latest before, and those that something was said of since.
        """
        while True:
            await asyncio.sleep(self._look_back_every_s)
            for tenant, pupil in list(self._pupils.items()):
                try:
                    cursor, asked = self._looked_back.get(tenant, (None, set[str]()))
                    spoken, latest = await self._store.spoken_of(tenant, cursor), set(pupil.latest_tasks())
                    new = latest if spoken.task_ids is None else spoken.task_ids | (latest - asked)
                    await self._look_up(tenant, new)
                    self._looked_back[tenant] = spoken.cursor, latest
                except EvolutionError as error:
                    logger.warning("what people said of tenant %s's tasks cannot be read: %s", tenant, error)

    async def _look_up(self, tenant: str, task_ids: Collection[str]) -> None:
        found = (await self._store.feedback_by_task(tenant, task_ids)).values()
        self._note([last for said in found if (last := last_judging(said)) is not None])

    async def _hear(self, message: Msg) -> None:
        with suppress(ValidationError):
            self._note([Feedback.from_peer(message.data)])

    def _note(self, said: Sequence[Feedback]) -> None:
        for feedback in said:
            self._feedback.setdefault(feedback.tenant, deque(maxlen=CAPACITY)).append(feedback)

    async def _study(self) -> None:
        waiting = len(self._records)  # what comes meanwhile waits: else a version would wait until nothing comes
        for start in range(0, waiting, STUDY_AT_ONCE):
            lot = [self._records.popleft() for _ in range(min(STUDY_AT_ONCE, waiting - start))]
            lots = self._by_pupil(lot)
            await asyncio.to_thread(teach, lots, self._said())
            self._studied.set()
        said = self._said()
        if said:
            await asyncio.to_thread(teach, [], said)

    def _said(self) -> list[tuple[Pupil, deque[Feedback]]]:
        """Remarks to heed. In tenants that nothing was learned of yet they wait, for as long as there is room."""
        return [(pupil, self._feedback.pop(t)) for t, pupil in self._pupils.items() if t in self._feedback]

    def _by_pupil(self, records: Sequence[ExperienceRecord]) -> list[tuple[Pupil, list[ExperienceRecord]]]:
        lots: dict[int, tuple[Pupil, list[ExperienceRecord]]] = {}
        for record in records:
            pupil = self._pupil_for(record)
            if pupil is not None:
                lots.setdefault(id(pupil), (pupil, []))[1].append(record)
        return list(lots.values())

    def _pupil_for(self, record: ExperienceRecord) -> Pupil | None:
        """The tenant's. Vectors of another encoder mean something else: then it starts afresh."""
        dimension, encoder = dimension_of(record), record.vector_version
        if dimension == 0 or encoder is None:
            return None
        pupil = self._pupils.get(record.tenant)
        if pupil is None or (pupil.encoder, pupil.dimension) != (encoder, dimension):
            if pupil is not None:
                logger.warning(
                    "tenant %s has a new encoder, %s: what was learned starts afresh", record.tenant, encoder
                )
            pupil = self._pupils[record.tenant] = Pupil(dimension, encoder)
            self._looked_back.pop(record.tenant, None)
        return pupil

    async def _publish_due(self) -> None:
        # Whoever is auditioned from here on is not in the versions that are made now.
        urgent, self._urgent = self._urgent, set()
        for tenant, pupil in list(self._pupils.items()):
            if tenant == self._beginning:
                continue
            since_s = time.monotonic() - self._published_at.get(tenant, float("-inf"))
            if not self._terms.are_met(pupil.learner.policy.events, pupil.new, since_s, urgent=tenant in urgent):
                self._urgent |= urgent & {tenant}
                continue
            self._published_at[tenant] = time.monotonic()
            try:
                snapshot = await self._publisher.publish(tenant, pupil)
            except (EvolutionError, TensorLayerError, OSError) as error:
                logger.warning("tenant %s gets no new policy: %s", tenant, error)
                self._urgent |= urgent & {tenant}
                continue
            logger.info("policy %s of tenant %s: %d outcomes", snapshot.policy, tenant, snapshot.events)

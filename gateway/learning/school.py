"""Learns from the store's experience for as long as the evolution role runs. Started by ``gateway.roles.evolution``.

At start each tenant's past is studied from scratch (``beginning``), with what people said of it and what newcomers
answered in their auditions; then every record as it is stored. Remarks are heard at once, and looked up in the store
each minute, for those that came while nobody listened. Studying happens in a thread, some milliseconds at a time; when
a version is due, ``terms`` say.
"""

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from nats.aio.client import Client

from agents.background_tasks import begun, ended
from agents.errors import BusUnavailable
from agents.registry.kv_feed import follow
from evolution.errors import EvolutionError
from evolution.ports import ExperienceQuery, ExperienceStore
from gateway.auditions.keeping import Auditions, read
from gateway.learning.beginning import days_before, latest_of_each, latest_records
from gateway.learning.classroom import Classroom
from gateway.learning.hearsay import Answers
from gateway.learning.listening import LOOK_BACK_EVERY_S, Listening
from gateway.learning.publishing import Publisher
from gateway.learning.pupil import Pupil, teach
from gateway.learning.terms import Terms
from schemas import subjects
from schemas.audition import Audition
from schemas.base import now
from schemas.experience import ExperienceRecord
from tensor_layer.errors import TensorLayerError

logger = logging.getLogger(__name__)

STUDY_AT_ONCE = 128
"""About 20 ms of one thread: the recorder beside it waits no longer."""
WAITING_MAX = 1_024
"""Records read and not studied yet. Where cores are too few to keep up, all others wait in the store, not in memory."""
LOOK_EVERY_S = 0.25
RETRY_S = 5.0
ROOM_BYTES = 2_048 * 1_024 * 1_024
"""For all pupils. One of a busy tenant takes 40 MB, one of fifty tasks 2 MB."""
TENANTS_NOTED = 20_000
OVERLAP = timedelta(seconds=10)
"""What comes late by no more than that is not missed when the store was away; what comes twice is passed over."""


class School:
    """Every tenant's pupil. Failures are logged and tried again: recording must go on whatever is wrong here."""

    def __init__(
        self, nc: Client, store: ExperienceStore, publisher: Publisher, terms: Terms,
        look_back_every_s: float = LOOK_BACK_EVERY_S, room_bytes: int = ROOM_BYTES,
    ) -> None:  # fmt: skip
        self._nc = nc
        self._store = store
        self._publisher = publisher
        self._terms = terms
        self._pupils = Classroom(room_bytes)
        self._published_at: dict[str, float] = {}
        self._records: deque[ExperienceRecord] = deque()
        self._listening = Listening(store, self._pupils, look_back_every_s)
        self._auditions = Auditions(nc.jetstream())
        self._answered = Answers()
        self._urgent: set[str] = set()
        self._tenants_begun: OrderedDict[str, None] = OrderedDict()
        self._left_at: OrderedDict[str, datetime | None] = OrderedDict()
        self._one_begins = asyncio.Lock()
        self._beginning: str | None = None
        """Whose past is being studied: no version is made of half of it."""
        self._begun = asyncio.Event()
        self._studied = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop`` is set."""
        hearing = await self._nc.subscribe(subjects.FEEDBACK_ALL, cb=self._listening.hear)
        background = begun((self._read, self._listening.look_back, self._watch_auditions), "learning from the store")
        try:
            while not stop.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK_EVERY_S)
                await self._study()
                await self._publish_due()
                await self._make_room()
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
                    await self._begun_with(record.tenant)
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
            await self._begun_with(tenant, until, len(tenants), auditions.get(tenant, []))
        self._urgent.clear()
        self._begun.set()

    async def _begun_with(
        self, tenant: str, until: datetime | None = None, tenants: int | None = None,
        auditions: Sequence[Audition] | None = None,
    ) -> None:  # fmt: skip
        """Return once the tenant's past was studied: it is new, or its pupil left when there was no room."""
        while tenant not in self._tenants_begun:
            async with self._one_begins:
                if tenant in self._tenants_begun:
                    return
                self._beginning = tenant
                try:
                    if auditions is None:
                        auditions = [held.audition for held in await self._auditions.all(tenant)]
                    most = latest_of_each(len(self._pupils.all()) if tenants is None else tenants)
                    await self._begin_tenant(tenant, until or now(), most, auditions)
                    self._tenants_begun[tenant] = None
                finally:
                    self._beginning = None

    async def _begin_tenant(self, tenant: str, until: datetime, most: int, auditions: Sequence[Audition]) -> None:
        self._pupils.leave(tenant)  # it may have begun, and the store have gone away
        latest = await latest_records(self._store, tenant, until, most)
        if len(latest) == most:
            async for part in days_before(self._store, tenant, latest):
                await self._take(tenant, part)
        for audition in auditions:
            self._answers(audition)
        answers = [record for audition in auditions for record in audition.records]
        await self._take(tenant, sorted([*latest, *answers], key=lambda record: record.at))
        await self._until_fewer_wait(1)
        left_at, pupil = self._left_at.pop(tenant, None), self._pupils.of(tenant)
        if left_at is not None and pupil is not None:  # of what it knew when it left there is a version
            pupil.new = sum(record.at > left_at for record in latest)

    async def _take(self, tenant: str, records: Sequence[ExperienceRecord]) -> None:
        """Have these studied, with what was said of them."""
        await self._listening.look_up(tenant, [record.task_id for record in records])
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
            if audition is None:
                self._answered.forget(entry.key)
            elif news := self._answers(audition):
                try:
                    await self._begun_with(audition.tenant)
                except (EvolutionError, BusUnavailable) as error:
                    logger.warning("answers of tenant %s's newcomers are learned later: %s", audition.tenant, error)
                else:
                    self._records += news

    def _answers(self, audition: Audition) -> list[ExperienceRecord]:
        """Those that were not learned yet."""
        if self._answered.has_ended(audition):
            self._urgent.add(audition.tenant)
        return self._answered.news(audition)

    async def _study(self) -> None:
        waiting = len(self._records)  # what comes meanwhile waits: else a version would wait until nothing comes
        for start in range(0, waiting, STUDY_AT_ONCE):
            lot = [self._records.popleft() for _ in range(min(STUDY_AT_ONCE, waiting - start))]
            lots = self._pupils.lots(lot)
            await asyncio.to_thread(teach, lots, self._listening.said())
            self._studied.set()
        said = self._listening.said()
        if said:
            await asyncio.to_thread(teach, [], said)

    async def _publish_due(self) -> None:
        # Whoever is auditioned from here on is not in the versions that are made now.
        urgent, self._urgent = self._urgent, set()
        for tenant, pupil in self._pupils.all():
            if tenant == self._beginning:
                continue
            since_s = time.monotonic() - self._published_at.get(tenant, float("-inf"))
            if not self._terms.are_met(pupil.learner.policy.events, pupil.new, since_s, urgent=tenant in urgent):
                self._urgent |= urgent & {tenant}
                continue
            if not await self._publish(tenant, pupil):
                self._urgent |= urgent & {tenant}

    async def _publish(self, tenant: str, pupil: Pupil) -> bool:
        self._published_at[tenant] = time.monotonic()
        try:
            snapshot = await self._publisher.publish(tenant, pupil)
        except (EvolutionError, TensorLayerError, OSError) as error:
            logger.warning("tenant %s gets no new policy: %s", tenant, error)
            return False
        logger.info("policy %s of tenant %s: %d outcomes", snapshot.policy, tenant, snapshot.events)
        return True

    async def _make_room(self) -> None:
        """Pupils that heard nothing for longest leave while there are too many, with a version of all that they know.

        When something of their tenant comes again, its past is studied anew.
        """
        for tenant in list(self._pupils.too_many()):
            pupil = dict(self._pupils.all()).get(tenant)
            if pupil is None or tenant == self._beginning:
                continue
            due = pupil.new > 0 and self._terms.are_met(pupil.learner.policy.events, pupil.new, float("inf"))
            if due and not await self._publish(tenant, pupil):
                continue
            if not any(record.tenant == tenant for record in self._records):
                self._let_go(tenant)
        while len(self._tenants_begun) > TENANTS_NOTED:
            self._let_go(next(iter(self._tenants_begun)))

    def _let_go(self, tenant: str) -> None:
        self._left_at[tenant] = self._pupils.leave(tenant)
        self._listening.forget(tenant)
        self._urgent.discard(tenant)
        for memory in (self._published_at, self._tenants_begun):
            memory.pop(tenant, None)
        if len(self._left_at) > TENANTS_NOTED:
            self._left_at.popitem(last=False)

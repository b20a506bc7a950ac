"""What people say of results: heard at once, and looked up in the store again and again. Kept by ``school``.

Some of it comes while nobody listens, or before its task was studied.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from nats.aio.msg import Msg
from pydantic import ValidationError

from evolution.errors import EvolutionError
from evolution.judging import last_judging
from evolution.ports import ExperienceStore
from gateway.learning.classroom import Classroom
from gateway.learning.hearsay import Remarks
from gateway.learning.pupil import Pupil
from schemas.experience import Feedback

logger = logging.getLogger(__name__)

LOOK_BACK_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class _Looked:
    """How far it was looked for a pupil: the store's cursor, and which tasks were its latest then."""

    pupil: Pupil
    cursor: str
    latest: frozenset[str]


class Listening:
    """Of all tenants. What of a tenant's remarks nothing was learned of yet waits, for as long as there is room."""

    def __init__(self, store: ExperienceStore, pupils: Classroom, every_s: float = LOOK_BACK_EVERY_S) -> None:
        self._store = store
        self._pupils = pupils
        self._every_s = every_s
        self._remarks = Remarks()
        self._looked: dict[str, _Looked] = {}

    async def hear(self, message: Msg) -> None:
        """A remark from the bus. One that does not read is the recorder's to tell."""
        with suppress(ValidationError):
            self._remarks.note([Feedback.from_peer(message.data)])

    def said(self) -> list[tuple[Pupil, deque[Feedback]]]:
        """Remarks to be heeded now."""
        waiting = ((pupil, self._remarks.take(tenant)) for tenant, pupil in self._pupils.all())
        return [(pupil, said) for pupil, said in waiting if said]

    def forget(self, tenant: str) -> None:
        """Its pupil left."""
        self._remarks.take(tenant)
        self._looked.pop(tenant, None)

    async def look_back(self) -> None:
        """What was said of the latest tasks, again and again, for ever."""
        while True:
            await asyncio.sleep(self._every_s)
            for tenant, pupil in self._pupils.all():
                try:
                    await self._look_at(tenant, pupil)
                except EvolutionError as error:
                    logger.warning("what people said of tenant %s's tasks cannot be read: %s", tenant, error)

    async def look_up(self, tenant: str, task_ids: Collection[str]) -> None:
        """Have what was said of these heeded. Raises EvolutionError."""
        found = (await self._store.feedback_by_task(tenant, task_ids)).values()
        self._remarks.note([last for said in found if (last := last_judging(said)) is not None])

    async def _look_at(self, tenant: str, pupil: Pupil) -> None:
        """Asked are tasks that were none of the latest before, and those that something was said of since."""
        before = self._looked.get(tenant)
        if before is not None and before.pupil is not pupil:
            before = None
        spoken = await self._store.spoken_of(tenant, before.cursor if before else None)
        latest = frozenset(pupil.latest_tasks())
        asked = before.latest if before else frozenset()
        await self.look_up(tenant, latest if spoken.task_ids is None else spoken.task_ids | (latest - asked))
        if any(one is pupil for _, one in self._pupils.all()):  # it may have left meanwhile
            self._looked[tenant] = _Looked(pupil, spoken.cursor, latest)

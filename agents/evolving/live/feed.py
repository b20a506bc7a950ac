"""Keeps planning's past current: hears the experience of all workers, and writes it down for those that start.

The records themselves are the evolution role's; here they are only heard in passing, so that losing one loses nothing
but a little precision.
"""

import asyncio
import logging

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from pydantic import ValidationError

from agents.background_tasks import ended
from agents.evolving.live.book import PlanBook
from agents.planning.pasts import Pasts
from schemas import subjects
from schemas.experience import ExperienceRecord

logger = logging.getLogger(__name__)

WRITE_EVERY_S = 10.0


class PastFeed:
    """One for each worker. Every worker hears everything, so whoever writes last writes what all know."""

    def __init__(self, nc: Client, pasts: Pasts, book: PlanBook, write_every_s: float = WRITE_EVERY_S) -> None:
        self._nc = nc
        self._pasts = pasts
        self._book = book
        self._write_every_s = write_every_s
        self._subscription: Subscription | None = None
        self._changed: set[str] = set()
        self._writing: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Hear from now on."""
        self._subscription = await self._nc.subscribe(subjects.EXPERIENCE_ALL, cb=self._hear)
        self._writing = asyncio.create_task(self._write_down(), name="write down what planning learned")

    async def stop(self) -> None:
        """Hear no more. What was not written down is heard by the other workers, or learned again."""
        if self._subscription is not None and not self._nc.is_closed:
            await self._subscription.unsubscribe()
        await ended(self._writing)

    async def _hear(self, message: Msg) -> None:
        try:
            record = ExperienceRecord.model_validate_json(message.data)
        except ValidationError as error:
            logger.warning("an experience does not read as one and teaches planning nothing: %s", error)
            return
        self._pasts.learn(record)
        self._changed.add(record.tenant)
        if record.kind is not None and not record.success and record.steps:
            self._book.doubt(record.tenant, record.kind)

    async def _write_down(self) -> None:
        while True:
            await asyncio.sleep(self._write_every_s)
            changed, self._changed = self._changed, set()
            for tenant in sorted(changed):
                await self._book.write_past(self._pasts.snapshot(tenant))

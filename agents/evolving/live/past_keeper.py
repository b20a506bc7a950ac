"""Keeps planning's past current: learns what became of tasks, and writes it down for workers that start."""

import asyncio
from collections.abc import Sequence

from agents.background_tasks import begun, ended
from agents.evolving.live.book import PlanBook
from agents.planning.pasts import Pasts, tells_of_its_plan
from schemas.experience import ExperienceRecord

WRITE_EVERY_S = 10.0


class PastKeeper:
    """One for each worker. Every worker hears everything, so whoever writes last writes what all know."""

    def __init__(self, pasts: Pasts, book: PlanBook, write_every_s: float = WRITE_EVERY_S) -> None:
        self._pasts = pasts
        self._book = book
        self._write_every_s = write_every_s
        self._changed: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Write down from now on."""
        self._tasks = begun((self._write_down,), "planning's past")

    async def stop(self) -> None:
        """What was not written down is known to the other workers, or learned again."""
        await ended(*self._tasks)

    def learn(self, records: Sequence[ExperienceRecord]) -> None:
        """Take in what tasks came to; the plan of a kind whose task failed is doubted, if that tells of it."""
        for record in records:
            self._pasts.learn(record)
            self._changed.add(record.tenant)
            failed = not record.success and record.steps and tells_of_its_plan(record)
            if record.kind is not None and failed:
                self._book.doubt(record.tenant, record.kind)

    async def _write_down(self) -> None:
        while True:
            await asyncio.sleep(self._write_every_s)
            changed, self._changed = self._changed, set()
            for tenant in sorted(changed):
                await self._book.write_past(self._pasts.snapshot(tenant))

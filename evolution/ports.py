"""What the evolution layer needs from outside."""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from schemas.experience import ExperienceRecord, Feedback


@dataclass(frozen=True, slots=True)
class ExperienceQuery:
    """Which records are asked for. None means no restriction; ``since`` is inclusive, ``until`` is not.

    With ``tenant`` and ``task_id`` a store reads no records but the task's own.
    """

    tenant: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    agent_id: str | None = None
    task_id: str | None = None
    success: bool | None = None
    policy: str | None = None
    limit: int = 1000

    @property
    def everything(self) -> bool:
        """Whether all records of the tenant and time are asked for, so that they need only be counted."""
        return self == ExperienceQuery(self.tenant, self.since, self.until, limit=self.limit)


@dataclass(frozen=True, slots=True)
class Spoken:
    """Of which tasks people said something since a cursor. None: the store cannot tell, it may be of any.

    ``cursor`` is where to go on: a word of the store's own, kept and given back as it is, by any process.
    """

    cursor: str
    task_ids: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A tenant's records stored since a cursor, in that order. None: the store cannot tell, look for yourself.

    ``cursor`` as in Spoken.
    """

    cursor: str
    records: Sequence[ExperienceRecord] | None


class ExperienceStore(Protocol):
    """What happened, once. Writing the same record twice leaves the first; a returned write survives power loss.

    Safe for concurrent use; no call blocks the event loop. Every method may raise ExperienceStoreUnavailable, whose
    words say what to do; a write that raised it stored nothing and may be repeated. Nothing may be called after
    ``close``.
    """

    async def record(self, records: Sequence[ExperienceRecord]) -> int:
        """Store all of the records or none, returning how many were new. Raises ExperienceRefused for one that

        can never be stored (NaN, a vector that is none).
        """
        ...

    async def add_feedback(self, feedback: Sequence[Feedback]) -> int:
        """Store feedback, which may come before its record. Returns how many were new."""
        ...

    async def find(self, query: ExperienceQuery) -> list[ExperienceRecord]:
        """Matching records, newest first."""
        ...

    async def feedback_by_task(self, tenant: str, task_ids: Collection[str]) -> dict[str, list[Feedback]]:
        """What was said of each of these tasks, however many, oldest first; an empty list where nothing was."""
        ...

    async def spoken_of(self, tenant: str, cursor: str | None) -> Spoken:
        """Of which tasks feedback was stored since ``cursor`` was given, whatever moment it names. None: begin here.

        Whoever asks what was said of the tasks only afterwards misses nothing, and may hear of a task again. Where
        feedback was removed since, or the cursor is another store's, ``task_ids`` is None, as it is at the beginning.
        """
        ...

    async def recorded_since(self, tenant: str, cursor: str | None) -> Recorded:
        """What was stored since ``cursor`` was given, whatever moment it names; none is missed. None: begin here.

        Whoever reads the store only after asking misses nothing, and may find a record again. Where records were
        removed or moved since, or the cursor is another store's, ``records`` is None, as it is at the beginning.
        """
        ...

    def tail(self, query: ExperienceQuery, latest: int = 0) -> AsyncIterator[ExperienceRecord]:
        """Records as they are stored, for ever, in that order; also those written by other processes.

        Starts with those already there when ``query.since`` is given, else with the ``latest`` so many, oldest first,
        and then what comes after the first ``anext``: none is missed between the two, none comes twice. ``until`` and
        ``limit`` do not apply.
        """
        ...

    def scan(self, query: ExperienceQuery, batch_rows: int = 1000) -> AsyncIterator[list[ExperienceRecord]]:
        """Every matching record (``limit`` does not apply), oldest first, in lists of at most ``batch_rows``."""
        ...

    async def count(
        self, tenant: str | None = None, since: datetime | None = None, until: datetime | None = None
    ) -> int:
        """How many records there are, of that time; reading none of them."""
        ...

    async def tenants(self) -> list[str]:
        """Every tenant that has records, sorted."""
        ...

    async def close(self) -> None:
        """Release the store."""
        ...

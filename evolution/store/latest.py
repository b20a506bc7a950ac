"""What this process stored last, for those who follow the store: they need not read again what was just written.

Filled by the SQLite store once a write is durable, asked by its ``tail``. Rows are known by their sequence number, and
looked at again by tenant and id: a file may have been taken away and begun anew.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from schemas.experience import ExperienceRecord

MOST = 1_024
"""Some 10 MB; who is further behind reads from the file."""

Key = tuple[int, str, str]
"""Sequence number, tenant, record id."""


class Latest:
    """Records as they were stored, sealed where they are sealed. One thread keeps, any thread asks."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: dict[int, ExperienceRecord] = {}
        self._followers = 0

    @contextmanager
    def followed(self) -> Iterator[None]:
        """Nothing is kept while nobody follows."""
        self._followers += 1
        try:
            yield
        finally:
            self._followers -= 1

    def keep(self, stored: Iterable[tuple[int, ExperienceRecord]]) -> None:
        """Sequence numbers and records, once they are durable; of too many the oldest are dropped."""
        kept = self._kept | dict(stored) if self._followers else {}
        self._kept = dict(list(kept.items())[-self._most :])

    def of(self, keys: Sequence[Key]) -> list[ExperienceRecord] | None:
        """Those very records, in that order; None when one of them is not kept."""
        kept = self._kept
        found = [kept.get(seq) for seq, _, _ in keys]
        records = [record for record in found if record is not None]
        same = [(tenant, record_id) for _, tenant, record_id in keys]
        return records if [(record.tenant, record.record_id) for record in records] == same else None

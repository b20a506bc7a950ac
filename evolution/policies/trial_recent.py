"""What ended lately, kept in this process: a look reads only what was stored since the one before. For ``trial_count``.

Records come late, so the last hour is counted again at each look; it need not be read again where the store can tell
what it stored since (``ExperienceStore.recorded_since``). Where it cannot, everything since that hour is read.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from evolution.experiments.tallies import Ended
from evolution.ports import ExperienceQuery, ExperienceStore
from schemas.experience import ExperienceRecord

KEPT_MAX = 250_000
"""Of each tenant, at 450 bytes each; where more end in an hour, all of it is read again at each look."""


@dataclass(slots=True)
class _Kept:
    """By record id, what ended since that moment, as far as it was stored by that cursor."""

    cursor: str
    since: datetime
    found: dict[str, Ended] = field(default_factory=dict)

    def add(self, records: Iterable[ExperienceRecord]) -> None:
        """What ended before does not count any more: it is found when everything is counted."""
        self.found |= {record.record_id: Ended.of(record) for record in records if record.at >= self.since}

    def ordered(self, since: datetime) -> list[Ended]:
        """Oldest first; of one moment, what was stored first."""
        return sorted((one for one in self.found.values() if one.at >= since), key=lambda one: one.at)


class Recent:
    """Of every tenant that has an experiment. Not thread-safe, and of no use to two looks at once at one tenant."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    async def since(
        self, store: ExperienceStore, tenant: str, since: datetime, settled: datetime
    ) -> AsyncIterator[Sequence[Ended]]:
        """What ended since then, oldest first, in lots; what ended since ``settled`` is kept for the next look.

        Raises ExperienceStoreUnavailable.
        """
        before = self._kept.pop(tenant, None)
        if before is not None and before.since <= since:
            news = await store.recorded_since(tenant, before.cursor)
            if news.records is not None:
                before.add(news.records)
                yield before.ordered(since)
                kept = _Kept(news.cursor, settled)
                kept.found = {name: one for name, one in before.found.items() if one.at >= settled}
                self._keep(tenant, kept)
                return
        # Asked before anything is read: what is stored meanwhile is found again by the next look.
        kept = _Kept((await store.recorded_since(tenant, None)).cursor, settled)
        async for batch in store.scan(ExperienceQuery(tenant=tenant, since=since)):
            if len(kept.found) <= KEPT_MAX:
                kept.add(batch)
            yield [Ended.of(record) for record in batch]
        self._keep(tenant, kept)

    def _keep(self, tenant: str, kept: _Kept) -> None:
        if len(kept.found) <= KEPT_MAX:
            self._kept[tenant] = kept

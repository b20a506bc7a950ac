"""Counts what an experiment's tasks came to, and what people said of them since. Called by ``trial``.

What people say comes minutes or days after a task: so the outcomes of the latest tasks are kept one by one, and at each
look they are added up again in the order of their tasks, with what was said until then (``trial_judged`` knows how to
learn that cheaply). Older ones keep the value that they had, until everything is counted again.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from evolution.experiments.deciding import Verdict
from evolution.experiments.tallies import Arms, Ended, Outcome, Stage, concluded, tallied
from evolution.policies.trial_judged import Judged
from evolution.policies.trial_memory import Counted, TrialMemory, counted_of, question_of
from evolution.policies.trial_recent import Recent
from evolution.policies.trial_spans import Span
from evolution.ports import ExperienceStore
from schemas.base import now

IN_FORCE = timedelta(minutes=1)
"""Until then a worker may not have read a candidate with a long past: tasks that it sends elsewhere tell nothing."""
LATE = timedelta(hours=1)
"""Records of so long ago are still counted again at each look: the recorder may be behind."""
WHOLE_EVERY = timedelta(days=1)
MOST_OPEN = 50_000
"""Outcomes that are kept one by one: as many as an experiment that ends by itself has, and 2 MB."""

Counts = tuple[tuple[Stage, ...], Verdict, Counted]


class Account:
    """Stages under count, each with its ``open`` outcomes, oldest first; those are not in the stages yet."""

    def __init__(self, stages: Sequence[Stage], outcomes: Sequence[Sequence[Outcome]]) -> None:
        self.stages = list(stages)
        self.open = [list(some) for some in outcomes]

    @classmethod
    def empty(cls, spans: Sequence[Span]) -> "Account":
        """Nothing counted yet."""
        return cls([Stage(span.share) for span in spans], [[] for _ in spans])

    def add(self, records: Sequence[Ended], spans: Sequence[Span], arms: Arms) -> None:
        """Records, oldest first. Tasks that no policy routed (refused unread, failed before) count for none."""
        for index, span in enumerate(spans):
            mine = [record for record in records if record.routed and span.holds(record)]
            self.stages[index], found = tallied(self.stages[index], mine, arms, spans[0].since + IN_FORCE)
            self.open[index] += found

    def oldest(self, keep: int) -> list[list[Outcome]]:
        """What is open of each stage beyond the newest ``keep``, taken out."""
        spare, taken = sum(map(len, self.open)) - keep, []
        for outcomes in self.open:
            count = min(max(spare, 0), len(outcomes))
            taken.append(outcomes[:count])
            del outcomes[:count]
            spare -= count
        return taken

    def followed_by(self, later: "Account") -> "Account":
        """With what came after; neither of the two changes."""
        stages = [one.merged(other) for one, other in zip(self.stages, later.stages, strict=True)]
        return Account(stages, [[*one, *other] for one, other in zip(self.open, later.open, strict=True)])


class Count:
    """One look at one experiment. With ``memory`` it counts only what ended since the look before, and the last hour,

    and with a ``recent`` that lasts from look to look it reads only what was stored since.
    """

    def __init__(
        self,
        store: ExperienceStore,
        tenant: str,
        spans: Sequence[Span],
        arms: Arms,
        memory: TrialMemory | None,
        recent: Recent,
    ) -> None:
        self._store = store
        self._tenant = tenant
        self._spans = spans
        self._arms = arms
        self._memory = memory
        self._recent = recent
        self._question = question_of(arms, *spans)

    async def look(self, decide: Callable[[Sequence[Stage]], Verdict]) -> tuple[tuple[Stage, ...], Verdict]:
        """The stages, and what is decided of them. Raises ExperienceStoreUnavailable."""
        moment = now()
        known = await asyncio.to_thread(self._memory.recall, self._tenant, self._question) if self._memory else None
        if known is not None and moment - known.whole_at < WHOLE_EVERY:
            stages, verdict, kept = await self._counted(moment, known, decide)
            if verdict.action.value == known.action:
                await self._remember(kept)
                return stages, verdict
        stages, verdict, kept = await self._counted(moment, None, decide)
        await self._remember(kept)
        return stages, verdict

    async def _counted(
        self, moment: datetime, known: Counted | None, decide: Callable[[Sequence[Stage]], Verdict]
    ) -> Counts:
        since = known.until if known is not None else self._spans[0].since
        before = Account(known.stages(), known.outcomes) if known is not None else Account.empty(self._spans)
        settled = max(since, moment - LATE)
        judged = await Judged.since(self._store, self._tenant, known)
        after = await self._read(since, settled, before, judged)
        whole = before.followed_by(after)
        said = await _conclude(whole, 0, judged)
        verdict = decide(whole.stages)
        whole_at = moment if known is None else known.whole_at
        kept = counted_of(self._question, settled, whole_at, verdict.action.value, before.stages, before.open)
        recent = (outcome.task_id for outcomes in after.open for outcome in outcomes)
        return tuple(whole.stages), verdict, kept.hearing(said, recent, judged.cursor)

    async def _read(self, since: datetime, settled: datetime, before: Account, judged: Judged) -> Account:
        """Adds what ended before ``settled`` to ``before``; what came after it by itself."""
        after = Account.empty(self._spans)

        def add(batch: Sequence[Ended]) -> None:
            old = [record for record in batch if record.at < settled]
            before.add(old, self._spans, self._arms)
            after.add(batch[len(old) :], self._spans, self._arms)

        async for batch in self._recent.since(self._store, self._tenant, since, settled):
            await asyncio.to_thread(add, batch)
            if sum(map(len, before.open)) > 2 * MOST_OPEN:
                await _conclude(before, MOST_OPEN, judged)
        await _conclude(before, MOST_OPEN, judged)
        return after

    async def _remember(self, counted: Counted) -> None:
        if self._memory is not None:
            await asyncio.to_thread(self._memory.remember, self._tenant, counted)


async def _conclude(account: Account, keep: int, judged: Judged) -> dict[str, float]:
    """Count all but the newest ``keep`` of the open outcomes as they are judged now; answers how."""
    taken = account.oldest(keep)
    said = await judged.of([outcome.task_id for outcomes in taken for outcome in outcomes])
    account.stages = await asyncio.to_thread(
        lambda: [concluded(stage, some, said) for stage, some in zip(account.stages, taken, strict=True)]
    )
    return said

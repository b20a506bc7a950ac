"""Scores policies on a window of stored experience. Called by `aos replay evaluate`, reports and promotions."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from evolution.errors import NothingToEvaluate
from evolution.judging import rewards
from evolution.ports import ExperienceQuery, ExperienceStore
from evolution.progress import Progress, unseen
from evolution.replay.decision_log import Batch, Decisions, Policy, Reward, Taking, cross_fitted, success
from evolution.replay.off_policy import Evaluation, evaluate
from schemas.base import now
from schemas.experience import ExperienceRecord

MAX_DECISIONS = 200_000
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Each policy's evaluation by name, on the same decisions; ``left_out`` counts other records by reason.

    ``agents`` are those that were candidates.
    """

    evaluations: Mapping[str, Evaluation]
    left_out: Mapping[str, int]
    agents: tuple[str, ...] = ()


class PolicyEvaluation:
    """Reads a window and asks what each policy would have earned there; at most ``max_decisions`` of the newest.

    Records are read from the newest day back, and of each no more is kept than estimates take: 400 bytes.
    """

    def __init__(self, store: ExperienceStore, *, max_decisions: int = MAX_DECISIONS) -> None:
        self._store = store
        self._max_decisions = max_decisions

    async def compare(
        self, query: ExperienceQuery, policies: Mapping[str, Policy], progress: Progress = unseen
    ) -> Comparison:
        """Raises NothingToEvaluate, ExperienceStoreUnavailable, and ValueError for a policy that is none."""
        # Of one agent's tasks nobody knows how many there are but by reading them.
        there = await self._store.count(query.tenant, query.since, query.until) if query.everything else None
        wanted = self._max_decisions if there is None else min(there, self._max_decisions)
        taking = Taking(policies)
        newest: list[Batch] = []
        read = 0
        for days in days_back(query):
            if there is not None and read >= wanted:
                break
            batches, enough = [], read >= wanted
            async for records in self._store.scan(days):
                read += len(records)
                if not enough:
                    reward = await rewards(self._store, records)
                    # Off the event loop: a learned policy takes a minute of CPU for the largest window.
                    batches.append(await asyncio.to_thread(taking.batch, records, reward))
                progress(*((read, 0) if there is None else (min(read, wanted), wanted)))
            newest = [*batches, *newest]
        kept = _newest(newest, self._max_decisions)
        found = await asyncio.to_thread(_compared, taking.decisions(kept))
        older = max(read, there or 0) - sum(len(batch.reasons) for batch in kept)
        if not older:
            return found
        left_out = {f"they are older than the newest {self._max_decisions:,}": older}
        return replace(found, left_out={**found.left_out, **left_out})


def days_back(query: ExperienceQuery) -> Iterator[ExperienceQuery]:
    """The query day by day, as the cold tier keeps them, the newest first; at once where it has no beginning."""
    if query.since is None:
        yield query
        return
    until, day = query.until, _midnight(query.until - _MICROSECOND if query.until else now())
    while day > query.since:
        yield replace(query, since=day, until=until)
        until, day = day, day - timedelta(days=1)
    yield replace(query, until=until)


def _newest(batches: Sequence[Batch], count: int) -> list[Batch]:
    """Of the last so many records, in the same order."""
    found: list[Batch] = []
    for batch in reversed(batches):
        if count <= 0:
            break
        found.insert(0, batch.newest(count))
        count -= len(found[0].reasons)
    return found


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def slim(record: ExperienceRecord) -> ExperienceRecord:
    """Without what is only needed to run a network again."""
    return record.model_copy(update={"network": None, "steps": ()})


def evaluated(
    records: Sequence[ExperienceRecord], policies: Mapping[str, Policy], reward: Reward = success
) -> Comparison:
    """Each policy on the decisions among these records. Blocks. Raises NothingToEvaluate, ValueError."""
    taking = Taking(policies)
    return _compared(taking.decisions([taking.batch(sorted(records, key=lambda record: record.at), reward)]))


def _compared(taken: Decisions) -> Comparison:
    if not len(taken.log.actions):
        reasons = ", ".join(f"{count} {reason}" for reason, count in taken.left_out.items()) or "it is empty"
        raise NothingToEvaluate(f"no decision of the window can be evaluated: {reasons}. Use a longer window")
    predicted = cross_fitted(taken)
    evaluations = {name: evaluate(taken.log, target, predicted) for name, target in taken.targets.items()}
    return Comparison(evaluations, taken.left_out, taken.agents)

"""The running experiment as the records tell it: its stages, their tallies, and what follows. Called by ``loop``.

Nothing has to be remembered between two looks: the shares of the canary and when they began are read from the bucket's
history, the outcomes from the experience store. So any process may look, and a restart forgets nothing. What was
counted before may be remembered (``trial_memory``): then only what is new is read.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from evolution.experiments.assignment import CONTROL, TREATMENT
from evolution.experiments.deciding import Design, Verdict, decide
from evolution.experiments.tallies import Arms, Stage, came_at, tallied
from evolution.policies.changes import active_name
from evolution.policies.trial_memory import Counted, TrialMemory, question_of, sums_of
from evolution.ports import ExperienceQuery, ExperienceStore
from schemas.base import now
from schemas.experience import ExperienceRecord
from schemas.policy_state import PolicyExperiment, PolicyState

WASHOUT = timedelta(seconds=5)
"""Workers hear of a new share a moment later: tasks that began so soon after it belong to neither stage."""


IN_FORCE = timedelta(minutes=1)
"""Until then a worker may not have read a candidate with a long past: tasks that it sends elsewhere tell nothing."""
LATE = timedelta(hours=1)
"""Records of so long ago are still read again at each look: the recorder may be behind."""
WHOLE_EVERY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """For how long the canary had one share; ``until`` None is now."""

    share: float
    since: datetime
    until: datetime | None = None

    def holds(self, record: ExperienceRecord) -> bool:
        """Whether the task was routed at that share. What counts is when it came, not when it ended."""
        came = came_at(record)
        return self.since + WASHOUT <= came and (self.until is None or came < self.until)


@dataclass(frozen=True, slots=True)
class Progress:
    """How an experiment stands. Stages begin with the narrowest canary."""

    experiment: PolicyExperiment
    control: str
    stages: tuple[Stage, ...]
    verdict: Verdict

    @property
    def tasks(self) -> dict[str, int]:
        """How many tasks each arm had."""
        return {arm: sum(stage.count(arm) for stage in self.stages) for arm in (TREATMENT, CONTROL)}


def spans_of(experiment: PolicyExperiment, changes: Sequence[PolicyState]) -> tuple[Span, ...]:
    """The shares that the experiment had, from the states of the tenant, oldest first."""
    spans: list[Span] = []
    for state in changes:
        then = state.experiment
        if then is None or (then.name, then.candidate, then.since) != (
            experiment.name,
            experiment.candidate,
            experiment.since,
        ):
            continue
        if spans and spans[-1].share == then.share:
            continue
        if spans:
            spans[-1] = replace(spans[-1], until=state.changed_at)
        spans.append(Span(then.share, state.changed_at))
    return tuple(spans) or (Span(experiment.share, experiment.since),)


def design_of(design: Design, state: PolicyState, experiment: PolicyExperiment) -> Design:
    """The general design for this experiment: its arms, and no canary narrower than the one it began with."""
    wider = tuple(share for share in design.shares if share > experiment.share)
    return replace(
        design,
        experiment_id=experiment.name,
        control=active_name(state),
        treatment=experiment.candidate,
        shares=(experiment.share, *wider),
    )


async def stages_of(
    store: ExperienceStore,
    tenant: str,
    spans: Sequence[Span],
    arms: Arms,
    since: datetime,
    settled: datetime | None = None,
) -> tuple[tuple[Stage, ...], tuple[Stage, ...]]:
    """What both ``arms`` did at each share from ``since`` on: what ended before ``settled``,

    and the rest. Tasks that no policy routed (refused unread, failed before) count for none.
    """
    before = [Stage(span.share) for span in spans]
    after = list(before)

    def add(batch: Sequence[ExperienceRecord]) -> None:
        old = [record for record in batch if settled is not None and record.at < settled]
        for stages, records in ((before, old), (after, batch[len(old) :])):
            for index, span in enumerate(spans):
                mine = [record for record in records if record.candidates and span.holds(record)]
                stages[index] = tallied(stages[index], mine, arms, spans[0].since + IN_FORCE)

    async for batch in store.scan(ExperienceQuery(tenant=tenant, since=since)):
        await asyncio.to_thread(add, batch)
    return tuple(before), tuple(after)


async def progress(
    store: ExperienceStore,
    state: PolicyState,
    changes: Sequence[PolicyState],
    design: Design,
    changed: float = 0.0,
    memory: TrialMemory | None = None,
) -> Progress | None:
    """How the tenant's experiment stands now; None when there is none. ``changed`` is the share of changed choices.

    With ``memory`` a look reads only what ended since the one before, and the hour before that: it may come late. What
    came later still is found when everything is counted again: once a day, and whenever the verdict is another one.
    Raises ExperienceStoreUnavailable.
    """
    experiment = state.experiment
    if experiment is None:
        return None
    spans = spans_of(experiment, changes)
    own = design_of(design, state, experiment)
    arms = Arms(experiment.salt or experiment.name, own.control, own.treatment)
    count = _Count(store, state.tenant, spans, arms, own, changed, memory)
    stages, verdict = await count.look()
    return Progress(experiment, own.control, stages, verdict)


class _Count:
    """One look at one experiment."""

    def __init__(
        self,
        store: ExperienceStore,
        tenant: str,
        spans: Sequence[Span],
        arms: Arms,
        design: Design,
        changed: float,
        memory: TrialMemory | None,
    ) -> None:
        self._store = store
        self._tenant = tenant
        self._spans = spans
        self._arms = arms
        self._design = design
        self._changed = changed
        self._memory = memory
        self._question = question_of(design.experiment_id, arms, *spans)

    async def look(self) -> tuple[tuple[Stage, ...], Verdict]:
        moment = now()
        known = self._memory.recall(self._tenant, self._question) if self._memory else None
        if known is not None and moment - known.whole_at < WHOLE_EVERY:
            stages, verdict, kept = await self._counted(moment, known)
            if verdict.action.value == known.action:
                self._remember(kept)
                return stages, verdict
        stages, verdict, kept = await self._counted(moment, None)
        self._remember(kept)
        return stages, verdict

    async def _counted(self, moment: datetime, known: Counted | None) -> tuple[tuple[Stage, ...], Verdict, Counted]:
        since = known.until if known is not None else self._spans[0].since
        settled = max(since, moment - LATE)
        before, after = await stages_of(self._store, self._tenant, self._spans, self._arms, since, settled)
        if known is not None:
            before = _merged(known.stages(), before)
        stages = _merged(before, after)
        verdict = decide(self._design, stages, changed=self._changed)
        kept = Counted(
            question=self._question,
            until=settled,
            whole_at=moment if known is None else known.whole_at,
            action=verdict.action.value,
            shares=tuple(stage.treatment_share for stage in before),
            sums=sums_of(before),
        )
        return stages, verdict, kept

    def _remember(self, counted: Counted) -> None:
        if self._memory is not None:
            self._memory.remember(self._tenant, counted)


def _merged(one: Sequence[Stage], other: Sequence[Stage]) -> tuple[Stage, ...]:
    return tuple(first.merged(second) for first, second in zip(one, other, strict=True))

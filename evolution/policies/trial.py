"""The running experiment as the records tell it: its stages, their tallies, and what follows. Called by ``loop``.

Nothing is remembered between two looks: the shares of the canary and when they began are read from the bucket's
history, the outcomes from the experience store. So any process may look, and a restart forgets nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from evolution.experiments.assignment import CONTROL, TREATMENT
from evolution.experiments.deciding import Design, Verdict, decide
from evolution.experiments.tallies import Stage, tallied
from evolution.policies.changes import active_name
from evolution.ports import ExperienceQuery, ExperienceStore
from schemas.experience import ExperienceRecord
from schemas.policy_state import PolicyExperiment, PolicyState

WASHOUT = timedelta(seconds=5)
"""Workers hear of a new share a moment later: tasks that began so soon after it belong to neither stage."""


@dataclass(frozen=True, slots=True)
class Span:
    """For how long the canary had one share; ``until`` None is now."""

    share: float
    since: datetime
    until: datetime | None = None

    def holds(self, record: ExperienceRecord) -> bool:
        """Whether the task was routed at that share. What counts is when it came, not when it ended."""
        came = record.at - timedelta(milliseconds=record.latency_ms)
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
    store: ExperienceStore, tenant: str, spans: Sequence[Span], control: str, treatment: str
) -> tuple[Stage, ...]:
    """What both arms did at each share. Tasks that no policy routed (refused unread, failed before) count for none."""
    stages = [Stage(span.share) for span in spans]
    query = ExperienceQuery(tenant=tenant, since=spans[0].since)

    def add(batch: Sequence[ExperienceRecord]) -> None:
        for index, span in enumerate(spans):
            mine = [record for record in batch if record.candidates and span.holds(record)]
            stages[index] = tallied(stages[index], mine, control, treatment)

    async for batch in store.scan(query):
        await asyncio.to_thread(add, batch)
    return tuple(stages)


async def progress(
    store: ExperienceStore, state: PolicyState, changes: Sequence[PolicyState], design: Design, changed: float = 0.0
) -> Progress | None:
    """How the tenant's experiment stands now; None when there is none. ``changed`` is the share of changed choices.

    Raises ExperienceStoreUnavailable.
    """
    experiment = state.experiment
    if experiment is None:
        return None
    spans = spans_of(experiment, changes)
    own = design_of(design, state, experiment)
    stages = await stages_of(store, state.tenant, spans, own.control, own.treatment)
    return Progress(experiment, own.control, stages, decide(own, stages, changed=changed))

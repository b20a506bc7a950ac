"""The shares that an experiment's canary had, and which tasks came while it had them. Used by ``trial``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from evolution.experiments.tallies import Measured, came_at
from schemas.policy_state import PolicyExperiment, PolicyState

WASHOUT = timedelta(seconds=5)
"""Workers hear of a new share a moment later: tasks that began so soon after it belong to neither stage."""


@dataclass(frozen=True, slots=True)
class Span:
    """For how long the canary had one share; ``until`` None is now."""

    share: float
    since: datetime
    until: datetime | None = None

    def holds(self, record: Measured) -> bool:
        """Whether the task was routed at that share. What counts is when it came, not when it ended."""
        came = came_at(record)
        return self.since + WASHOUT <= came and (self.until is None or came < self.until)


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

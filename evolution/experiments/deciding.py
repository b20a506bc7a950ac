"""What to do with an experiment now: pure functions of its design and tallies. Called whenever new tallies come."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce

from evolution.experiments.evidence import NOTHING, Difference, Evidence
from evolution.experiments.sequential import difference, split_evidence
from evolution.experiments.tallies import COST, LATENCY, Stage
from schemas.assignment import CONTROL, TREATMENT

SPLIT_ALPHA = 0.001
MOST_STRAYED = 0.2
"""Of a treatment's tasks that another policy routed: a worker that has just started sends some astray, no more."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A metric that treatment must not make worse by more than ``tolerance``; larger values are worse."""

    metric: str
    tolerance: float
    expected: float


@dataclass(frozen=True, slots=True)
class Design:
    """What an experiment asks and how careful it is.

    ``expected_gain`` is the difference in success rate worth finding. ``shares`` are the steps of the canary, each
    with at least ``tasks_per_stage`` tasks in treatment. A promotion that changes more than ``review_beyond`` of all
    choices waits for a person.
    """

    experiment_id: str
    control: str
    treatment: str
    shares: tuple[float, ...] = (0.01, 0.05, 0.2, 0.5)
    tasks_per_stage: int = 100
    max_tasks: int = 50_000
    alpha: float = 0.05
    expected_gain: float = 0.05
    guards: tuple[Guard, ...] = (Guard(LATENCY, 0.1, 0.2), Guard(COST, 0.0, 0.05))
    review_beyond: float = 0.3

    def __post_init__(self) -> None:
        if not self.shares or list(self.shares) != sorted(set(self.shares)) or not 0 < self.shares[0] <= 1:
            raise ValueError(f"shares {self.shares} must grow, from above 0 to at most 1")
        if self.shares[-1] >= 1:
            raise ValueError("the last share must leave some control to compare with")


class Action(StrEnum):
    """What to do."""

    WAIT = "wait"
    WIDEN = "widen"
    PROMOTE = "promote"
    ROLL_BACK = "roll_back"
    ASK = "ask"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do and why; ``treatment_share`` is what holds from now on, ``success`` the difference in success rate."""

    action: Action
    reason: str
    treatment_share: float
    success: Difference


def decide(design: Design, stages: Sequence[Stage], *, changed: float = 0.0, approved: bool = False) -> Verdict:
    """Safe to ask after every task. ``changed`` is the share of choices that treatment makes differently.

    The chance that a treatment no better than control is ever promoted, or one no worse ever rolled back by a metric,
    is at most ``alpha`` each.
    """
    evidence = reduce(Evidence.merged, (stage.evidence for stage in stages), NOTHING)
    success = evidence.difference(design.alpha, design.expected_gain)
    share = stages[-1].treatment_share if stages else design.shares[0]
    harm = broken_split(stages) or unserved(design, stages) or harmed(design, stages, success)
    if harm:
        return Verdict(Action.ROLL_BACK, harm, 0.0, success)
    if success.low > 0:
        return _promotion(design, success, share, changed, approved)
    if sum(stage.count(TREATMENT) + stage.count(CONTROL) for stage in stages) >= design.max_tasks:
        return Verdict(Action.ROLL_BACK, f"no gain found in {design.max_tasks} tasks", 0.0, success)
    if not stages:
        return Verdict(Action.WIDEN, f"start with {share:.0%} of the tasks", share, success)
    return _next_step(design, stages[-1], success)


def broken_split(stages: Sequence[Stage]) -> str:
    """Why the split is not the intended one, in words; empty while it is. A broken one compares nothing."""
    for stage in stages:
        treated, total = stage.came(TREATMENT), stage.came(TREATMENT) + stage.came(CONTROL)
        if split_evidence(treated, total, stage.treatment_share) > 1 / SPLIT_ALPHA:
            return (
                f"{treated} of {total} tasks were in treatment, not {stage.treatment_share:.0%}: tasks of one arm are "
                "lost or doubled on the way"
            )
    return ""


def unserved(design: Design, stages: Sequence[Stage]) -> str:
    """That workers cannot use the treatment, in words; empty while they can, or too few tasks came to say."""
    for stage in stages[-1:]:
        strayed, due = stage.strayed(TREATMENT), stage.strayed(TREATMENT) + stage.count(TREATMENT)
        if due >= design.tasks_per_stage and strayed > MOST_STRAYED * due:
            return (
                f"{strayed} of {due} tasks of {design.treatment} were routed by another policy: workers could not use "
                "it, their log and explain say why"
            )
    return ""


def harmed(design: Design, stages: Sequence[Stage], success: Difference) -> str:
    """Which metric treatment makes worse, in words; empty while none is shown to be. The guards share ``alpha``."""
    if success.high < 0:
        return f"success falls by at least {-success.high:.1%}"
    for guard in design.guards:
        alpha = design.alpha / len(design.guards)
        found = difference(stages, guard.metric, alpha, guard.expected)
        if found.low > guard.tolerance:
            return f"{guard.metric} rises by at least {found.low:.3g}, {guard.tolerance:.3g} is tolerated"
    return ""


def _promotion(design: Design, success: Difference, share: float, changed: float, approved: bool) -> Verdict:
    gain = f"success rises by at least {success.low:.1%}"
    if changed > design.review_beyond and not approved:
        reason = f"{gain}, but {changed:.0%} of all choices would change: a person decides"
        return Verdict(Action.ASK, reason, share, success)
    return Verdict(Action.PROMOTE, gain, 1.0, success)


def _next_step(design: Design, stage: Stage, success: Difference) -> Verdict:
    wider = [share for share in design.shares if share > stage.treatment_share]
    count = stage.count(TREATMENT)
    if wider and count >= design.tasks_per_stage:
        return Verdict(Action.WIDEN, f"{count} tasks without harm", wider[0], success)
    return Verdict(Action.WAIT, "not enough evidence yet", stage.treatment_share, success)

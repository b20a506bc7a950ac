"""What is remembered of an experiment's arms: sums that can be added to and merged. Read by ``deciding``."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np

from evolution.experiments.evidence import NOTHING, Evidence, Floats
from schemas.assignment import CONTROL, TREATMENT, arm_of
from schemas.experience import ExperienceRecord

SUCCESS, JUDGED = "success", "judged"
"""Of every task, and of those of them that people judged."""
LATENCY = "log_latency"
COST = "cost"
STRAYED, EARLY = "strayed", "early"
"""Not measured, only counted: tasks that another policy routed than that of their arm."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Count, mean and sum of squared deviations of one metric (Chan, Golub & LeVeque 1979)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: Floats) -> "Moments":
        """Of these values."""
        if not len(values):
            return cls()
        # From the first value on: the mean of equal values is that value to its last digit: no arm is dearer by 1e-17.
        mean = float(values[0] + (values - values[0]).mean())
        return cls(len(values), mean, float(((values - mean) ** 2).sum()))

    def merged(self, other: "Moments") -> "Moments":
        """Of both together."""
        count = self.count + other.count
        if count == 0:
            return self
        apart = other.mean - self.mean
        mean = self.mean + apart * other.count / count
        return Moments(count, mean, self.squares + other.squares + apart**2 * self.count * other.count / count)

    @property
    def variance(self) -> float:
        """Of one value, unbiased; 0 for fewer than two."""
        return self.squares / (self.count - 1) if self.count > 1 else 0.0


@dataclass(frozen=True, slots=True)
class Stage:
    """One share of the canary, with what both arms did meanwhile: metric name -> moments.

    ``evidence`` is what its successes say, task by task.
    """

    treatment_share: float
    arms: Mapping[str, Mapping[str, Moments]] = field(default_factory=dict)
    evidence: Evidence = NOTHING

    def moments(self, arm: str, metric: str) -> Moments:
        """Of one arm's metric."""
        return self.arms.get(arm, {}).get(metric, Moments())

    def count(self, arm: str) -> int:
        """How many tasks the arm had that its policy routed."""
        return self.moments(arm, SUCCESS).count

    def judged(self, arm: str) -> int:
        """Of how many of them somebody said how good the result is."""
        return self.moments(arm, JUDGED).count

    def strayed(self, arm: str) -> int:
        """How many more another policy routed though the arm's should have been there."""
        return self.moments(arm, STRAYED).count

    def came(self, arm: str) -> int:
        """How many tasks belong to the arm, whoever routed them."""
        return self.count(arm) + self.strayed(arm) + self.moments(arm, EARLY).count

    def merged(self, other: "Stage") -> "Stage":
        """With what another count of the same share found."""
        arms = {
            arm: {
                metric: self.moments(arm, metric).merged(other.moments(arm, metric))
                for metric in {**self.arms.get(arm, {}), **other.arms.get(arm, {})}
            }
            for arm in {**self.arms, **other.arms}
        }
        return replace(self, arms=arms, evidence=self.evidence.merged(other.evidence))


class Ended(NamedTuple):
    """What is counted of a record; ``routed``: there were candidates."""

    at: datetime
    task_id: str
    policy: str
    success: bool
    latency_ms: float
    cost: float
    routed: bool

    @classmethod
    def of(cls, record: ExperienceRecord) -> "Ended":
        """Of that record."""
        values = record.at, record.task_id, record.policy, record.success, record.latency_ms, record.cost
        return cls(*values, routed=bool(record.candidates))


Measured = ExperienceRecord | Ended


class Outcome(NamedTuple):
    """One task that the policy of its arm routed. What people say of it may come much later."""

    task_id: str
    treated: bool
    success: bool


def measures(record: Measured) -> dict[str, float]:
    """A task's metrics beside success. By its logarithm, latency: a few very slow tasks must not drown all others."""
    return {LATENCY: math.log1p(record.latency_ms), COST: record.cost}


@dataclass(frozen=True, slots=True)
class Arms:
    """Whose tasks are whose: ``key`` splits them by their hash, and each half has the policy that should route it."""

    key: str
    control: str
    treatment: str

    def of(self, record: Measured, treatment_share: float) -> str:
        """The arm that the task belongs to, whoever routed it."""
        return arm_of(self.key, record.task_id, treatment_share)

    def policy(self, arm: str) -> str:
        """The one that should route the arm's tasks."""
        return self.treatment if arm == TREATMENT else self.control


def tallied(
    stage: Stage, records: Iterable[Measured], arms: Arms, in_force_by: datetime
) -> tuple[Stage, list[Outcome]]:
    """The stage with these records but for their success, and their outcomes, which ``concluded`` adds.

    What another policy routed than that of its arm says nothing of either policy: it is only counted, as early where it
    came before ``in_force_by``, when workers may not have had the policy yet.
    """
    outcomes: list[Outcome] = []
    values: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        arm = arms.of(record, stage.treatment_share)
        if record.policy == arms.policy(arm):
            for name, value in measures(record).items():
                values[arm][name].append(value)
            outcomes.append(Outcome(record.task_id, arm == TREATMENT, record.success))
        else:
            values[arm][EARLY if came_at(record) < in_force_by else STRAYED].append(1.0)
    found = {arm: {name: Moments.of(np.array(some)) for name, some in of_arm.items()} for arm, of_arm in values.items()}
    return stage.merged(Stage(stage.treatment_share, found)), outcomes


def concluded(stage: Stage, outcomes: Sequence[Outcome], judged: Mapping[str, float]) -> Stage:
    """The stage with these tasks, in their order. What people said of one (by its id, 0 to 1) replaces its success."""
    values = np.array([judged.get(one.task_id, float(one.success)) for one in outcomes], dtype=np.float64)
    treated = np.array([one.treated for one in outcomes], dtype=np.bool_)
    said = np.array([one.task_id in judged for one in outcomes], dtype=np.bool_)
    found = {
        arm: {SUCCESS: Moments.of(values[mine]), JUDGED: Moments.of(values[mine & said])}
        for arm, mine in ((TREATMENT, treated), (CONTROL, ~treated))
    }
    evidence = stage.evidence.after(values, treated, stage.treatment_share)
    return replace(stage.merged(Stage(stage.treatment_share, found)), evidence=evidence)


def came_at(record: Measured) -> datetime:
    """When the task was submitted; the record says when it ended."""
    return record.at - timedelta(milliseconds=record.latency_ms)

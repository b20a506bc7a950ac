"""What is remembered of an experiment's arms: sums that can be added to and merged. Read by ``deciding``."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from evolution.experiments.assignment import TREATMENT, arm_of
from schemas.experience import ExperienceRecord

SUCCESS = "success"
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

    def plus(self, value: float) -> "Moments":
        """With one more value."""
        return self.merged(Moments(1, value, 0.0))

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
    """One share of the canary, with what both arms did meanwhile: metric name -> moments."""

    treatment_share: float
    arms: Mapping[str, Mapping[str, Moments]] = field(default_factory=dict)

    def moments(self, arm: str, metric: str) -> Moments:
        """Of one arm's metric."""
        return self.arms.get(arm, {}).get(metric, Moments())

    def count(self, arm: str) -> int:
        """How many tasks the arm had that its policy routed."""
        return self.moments(arm, SUCCESS).count

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
        return replace(self, arms=arms)

    def plus(self, arm: str, values: Mapping[str, float]) -> "Stage":
        """With one more task of that arm."""
        before = self.arms.get(arm, {})
        after = {**before, **{name: before.get(name, Moments()).plus(value) for name, value in values.items()}}
        return replace(self, arms={**self.arms, arm: after})


def measures(record: ExperienceRecord) -> dict[str, float]:
    """A task's metrics. Latency is compared by its logarithm: a few very slow tasks must not drown all others."""
    return {SUCCESS: float(record.success), LATENCY: math.log1p(record.latency_ms), COST: record.cost}


@dataclass(frozen=True, slots=True)
class Arms:
    """Whose tasks are whose: ``key`` splits them by their hash, and each half has the policy that should route it."""

    key: str
    control: str
    treatment: str

    def of(self, record: ExperienceRecord, treatment_share: float) -> str:
        """The arm that the task belongs to, whoever routed it."""
        return arm_of(self.key, record.task_id, treatment_share)

    def policy(self, arm: str) -> str:
        """The one that should route the arm's tasks."""
        return self.treatment if arm == TREATMENT else self.control


def tallied(stage: Stage, records: Iterable[ExperienceRecord], arms: Arms, in_force_by: datetime) -> Stage:
    """The stage with these records. What another policy routed than that of its arm says nothing of either policy:

    it is only counted, as early where it came before ``in_force_by``, when workers may not have had the policy yet.
    """
    for record in records:
        arm = arms.of(record, stage.treatment_share)
        if record.policy == arms.policy(arm):
            stage = stage.plus(arm, measures(record))
        else:
            stage = stage.plus(arm, {EARLY if came_at(record) < in_force_by else STRAYED: 1.0})
    return stage


def came_at(record: ExperienceRecord) -> datetime:
    """When the task was submitted; the record says when it ended."""
    return record.at - timedelta(milliseconds=record.latency_ms)

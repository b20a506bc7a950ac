"""What is remembered of an experiment's arms: sums that can be added to and merged. Read by ``deciding``."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from evolution.experiments.assignment import CONTROL, TREATMENT
from schemas.experience import ExperienceRecord

SUCCESS = "success"
LATENCY = "log_latency"
COST = "cost"


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
        """How many tasks the arm had."""
        return self.moments(arm, SUCCESS).count

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


def tallied(stage: Stage, records: Iterable[ExperienceRecord], control: str, treatment: str) -> Stage:
    """The stage with these records; those of other policies do not count. Records carry the policy that routed them."""
    arms = {control: CONTROL, treatment: TREATMENT}
    for record in records:
        arm = arms.get(record.policy)
        if arm is not None:
            stage = stage.plus(arm, measures(record))
    return stage

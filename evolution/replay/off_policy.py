"""What a policy would have earned on decisions that another one took and logged. Called by ``evaluating``.

Estimators: IPS (Horvitz & Thompson 1952), self-normalised IPS (Swaminathan & Joachims 2015), doubly robust (Dudik,
Langford & Li 2011). All arrays speak of n decisions among up to k actions; an action that was no candidate has
probability 0 in both policies.

Of choices that had no chance in the log nothing is known: the intervals reach from all of them failing to all of them
succeeding (Manski, Nonparametric bounds on treatment effects, 1990).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evolution.replay.intervals import (
    Floats,
    effective_size,
    ips_interval,
    jackknife_interval,
    self_normalised_interval,
)

ALPHA = 0.05
FEW_EFFECTIVE = 50
MUCH_UNSUPPORTED = 0.01
ODD_MEAN_WEIGHT_ERRORS = 4.0


@dataclass(frozen=True, slots=True)
class DecisionLog:
    """n decisions: ``actions`` (n,) chosen index, ``rewards`` (n,) in [0, 1], ``logged`` (n, k) rows sum to 1."""

    actions: NDArray[np.intp]
    rewards: Floats
    logged: Floats

    def __post_init__(self) -> None:
        count = len(self.actions)
        if self.rewards.shape != (count,) or self.logged.ndim != 2 or len(self.logged) != count:
            raise ValueError(
                f"{count} actions, rewards {self.rewards.shape}, logged {self.logged.shape}: sizes must agree"
            )
        if count and not (self.rewards.min() >= 0 and self.rewards.max() <= 1):
            raise ValueError("rewards must lie in [0, 1]")
        if count and not (self.chosen(self.logged) > 0).all():
            raise ValueError("a decision was logged with probability 0: its weight would be infinite")

    def chosen(self, matrix: Floats) -> Floats:
        """The entries (n,) of an (n, k) matrix at the chosen actions."""
        entries: Floats = matrix[np.arange(len(self.actions)), self.actions]
        return entries


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with the interval that holds it with the stated confidence."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the log says of the target policy, and how far it can be trusted."""

    decisions: int
    logged_value: float
    ips: Estimate
    self_normalised: Estimate
    doubly_robust: Estimate
    effective_size: float
    mean_weight: float
    largest_weight: float
    unsupported: float
    warnings: tuple[str, ...]


def evaluate(log: DecisionLog, target: Floats, predicted: Floats, alpha: float = ALPHA) -> Evaluation:
    """The value of ``target`` (n, k), rows sum to 1; ``predicted`` (n, k) is a reward model in [0, 1].

    The reward model must not have been fitted on the decision that it predicts (see ``decision_log.cross_fitted``).
    Raises ValueError for an empty log or shapes that do not fit.
    """
    _check(log, target, predicted)
    weights = log.chosen(target) / log.chosen(log.logged)
    unknown = np.where(log.logged > 0, 0.0, target)
    unsupported = float(unknown.sum(axis=1).mean())
    guessed = float((unknown * predicted).sum(axis=1).mean())
    return Evaluation(
        decisions=len(log.actions),
        logged_value=float(log.rewards.mean()),
        ips=ips(weights, log.rewards, alpha),
        self_normalised=_of_known(self_normalised(weights, log.rewards, alpha), unsupported),
        doubly_robust=_reaching(doubly_robust(log, weights, target, predicted, alpha), guessed, unsupported - guessed),
        effective_size=effective_size(weights),
        mean_weight=float(weights.mean()),
        largest_weight=float(weights.max()),
        unsupported=unsupported,
        warnings=tuple(_warnings(weights, unsupported, mean_weight_error(log, target))),
    )


def ips(weights: Floats, rewards: Floats, alpha: float = ALPHA) -> Estimate:
    """Inverse propensity scoring: unbiased, noisy."""
    return _within(float((weights * rewards).mean()), *ips_interval(weights, rewards, alpha))


def self_normalised(weights: Floats, rewards: Floats, alpha: float = ALPHA) -> Estimate:
    """Weighted mean of the rewards: a little biased, much less noisy. 0 when the target never did what was logged."""
    total = float(weights.sum())
    if total == 0.0:
        return Estimate(0.0, 0.0, 1.0)
    value = float((weights * rewards).sum()) / total
    return _within(value, *self_normalised_interval(weights, rewards, alpha))


def doubly_robust(
    log: DecisionLog, weights: Floats, target: Floats, predicted: Floats, alpha: float = ALPHA
) -> Estimate:
    """The reward model's answer, corrected where the log contradicts it: right if the model or the weights are."""
    terms = (target * predicted).sum(axis=1) + weights * (log.rewards - log.chosen(predicted))
    return _within(float(terms.mean()), *jackknife_interval(terms, weights, alpha))


def _within(value: float, low: float, high: float) -> Estimate:
    """Rewards lie in [0, 1], so the true value does; the estimate itself stays as it came out.

    The bets behind an interval know that weights are 1 on average, and an estimate does not: where the log's are not,
    it may come out beyond its interval, which is then drawn out to it.
    """
    return Estimate(value, min(max(min(low, value), 0.0), 1.0), min(max(high, value, 0.0), 1.0))


def _of_known(found: Estimate, unsupported: float) -> Estimate:
    """An estimate that speaks of the supported choices only, with the interval that holds the value of all of them."""
    known = 1.0 - unsupported
    return _within(found.value, known * found.low, known * found.high + unsupported)


def _reaching(found: Estimate, down: float, up: float) -> Estimate:
    return _within(found.value, found.low - down, found.high + up)


def _check(log: DecisionLog, target: Floats, predicted: Floats) -> None:
    if len(log.actions) == 0:
        raise ValueError("the log is empty: widen its window")
    if target.shape != log.logged.shape or predicted.shape != log.logged.shape:
        raise ValueError(f"target {target.shape} and predicted {predicted.shape} must be {log.logged.shape}")
    if (target < 0).any() or not np.allclose(target.sum(axis=1), 1.0, atol=1e-6):
        raise ValueError("the target policy's probabilities must be at least 0 and sum to 1 for every decision")


def mean_weight_error(log: DecisionLog, target: Floats) -> float:
    """The standard error of the mean weight, were the logged probabilities those of the choices.

    From all that could have been chosen and not only from what was: the spread of the weights at hand misses rare
    choices of huge weight, and would call an honest log a lie.
    """
    ratio = np.divide(target, log.logged, out=np.zeros_like(target), where=log.logged > 0)
    variance = (log.logged * ratio**2).sum(axis=1) - (log.logged * ratio).sum(axis=1) ** 2
    return float(np.sqrt(max(float(variance.sum()), 0.0))) / len(target)


def _warnings(weights: Floats, unsupported: float, error: float) -> list[str]:
    found = []
    if unsupported > MUCH_UNSUPPORTED:
        found.append(
            f"missing support: {100 * unsupported:.1f} % of the policy's choices had no chance in the log, and nothing "
            "is known of them. IPS counts them as failures, the other two suppose they go like those that are known; "
            "the intervals hold both ends. Explore more (aos policy explore), or evaluate a policy nearer to the log"
        )
    size = effective_size(weights)
    if size < FEW_EFFECTIVE:
        found.append(f"only {size:.0f} effective decisions: the log says little of this policy. Use a longer window")
    if abs(float(weights.mean()) - 1.0 + unsupported) > ODD_MEAN_WEIGHT_ERRORS * error + 1e-9:
        found.append(
            f"the mean weight is {weights.mean():.2f} and should be near {1.0 - unsupported:.2f}: the logged "
            "probabilities are not those with which agents were chosen"
        )
    return found

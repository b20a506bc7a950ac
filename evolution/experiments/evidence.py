"""How much better treatment does, from outcomes between 0 and 1 in the order of their tasks. Kept by ``tallies``.

Before its outcome two things are known of a task: the chance p that it is in treatment, and a mean m of outcomes so
far. If the arms are alike, (in treatment - p) * (outcome - m) is 0 on average whatever came before: a martingale with
steps down to -1, however outcomes are distributed and drift (Howard, Ramdas, McAuliffe & Sekhon, Time-uniform,
Nonparametric, Nonasymptotic Confidence Sequences, Annals of Statistics 2021, section 4.2; proposition 9, the
gamma-exponential mixture, bounds it by the sum of its squares). Centring on m instead of weighting by 1 / p keeps a
canary of 1 % from drowning in the noise of its few tasks.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gammainc, gammaln

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

RECENT = 200
"""Outcomes that the mean looks back on: where tasks of one arm go astray, one that lags behind the world misleads."""
TYPICAL_VARIANCE = 0.1
"""Of outcomes: where the bound is tightest, not whether it holds. Of a success rate of 89 %."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Treatment minus control, with an interval that holds the truth at all times at once; infinite: nothing known."""

    value: float
    low: float
    high: float


UNKNOWN = Difference(0.0, -math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The recent mean of the outcomes, and sums over tasks: p (1 - p), steps of the martingale and their squares."""

    count: int = 0
    mean: float = 0.5
    weight: float = 0.0
    excess: float = 0.0
    squares: float = 0.0

    def after(self, outcomes: Floats, treated: Bools, share: float) -> "Evidence":
        """With more tasks, in their order: outcomes in [0, 1], who was in treatment, and the chance to be there."""
        if not len(outcomes):
            return self
        means = recent_means(outcomes, self.mean, self.count)
        steps = (treated - share) * (outcomes - means[:-1])
        weight = len(outcomes) * share * (1.0 - share)
        return self.merged(
            Evidence(len(outcomes), float(means[-1]), weight, float(steps.sum()), float((steps**2).sum()))
        )

    def merged(self, other: "Evidence") -> "Evidence":
        """Of both together, ``other`` later: of two stages of a canary, for example, each centred on its own means."""
        return Evidence(
            self.count + other.count,
            other.mean if other.count else self.mean,
            self.weight + other.weight,
            self.excess + other.excess,
            self.squares + other.squares,
        )

    def difference(self, alpha: float, expected: float) -> Difference:
        """Of the mean outcomes of the arms; wrong at any time with a chance of at most ``alpha`` / 2 on either side.

        Tightest for differences of about the ``expected`` size.
        """
        if self.weight <= 0.0:
            return UNKNOWN
        reach = bound(self.squares, alpha / 2, (TYPICAL_VARIANCE / expected) ** 2) / self.weight
        if reach >= 1.0:  # no difference of two means in [0, 1] is ruled out
            return UNKNOWN
        value = self.excess / self.weight
        return Difference(value, value - reach, value + reach)


NOTHING = Evidence()


def recent_means(outcomes: Floats, mean: float, count: int) -> Floats:
    """What was known before each outcome, (n,), and after the last: of the first ones the plain mean, then a recent."""
    means = [mean]
    for place, outcome in enumerate(outcomes.tolist(), start=count + 2):
        mean += (outcome - mean) / min(place, RECENT)
        means.append(mean)
    return np.array(means)


def bound(squares: float, alpha: float, tightest: float) -> float:
    """What a martingale with steps down to -1 never exceeds, but with chance ``alpha``; best near so many squares."""
    upper = 1.0
    while log_odds(upper, squares, tightest) < -math.log(alpha):
        upper *= 2.0
    return float(brentq(lambda excess: log_odds(excess, squares, tightest) + math.log(alpha), 0.0, upper))


def log_odds(excess: float, squares: float, tightest: float) -> float:
    """Logarithm of a supermartingale that starts at 1: of exp(l * excess + (log(1 - l) + l) * squares), mixed over

    l in (0, 1) with 1 - l distributed as Gamma(tightest, tightest) cut off at 1.
    """
    shape, rate = squares + tightest, excess + squares + tightest
    start = tightest * math.log(tightest) - gammaln(tightest) - np.log(gammainc(tightest, tightest))
    now = gammaln(shape) + np.log(gammainc(shape, rate)) - shape * math.log(rate)
    return float(start + now + excess + squares)

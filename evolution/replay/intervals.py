"""Confidence intervals for means of weighted rewards, whose few huge values break textbook intervals.

Measured on 200 simulated logs each, mild to harsh weights (tests/unit/evolution/test_off_policy.py): at harsh weights
the normal interval covers 88-92 % instead of 95 %, bootstraps 85-93 %; empirical Bernstein always covers and says
nothing (3 to 5 times as wide); these cover 93 % or more and are 1.0-1.4 times as wide as the normal one.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Floats = NDArray[np.float64]
Gains = Callable[[float], tuple[Floats, float]]
"""For a supposed value: (n,) gains whose mean is at most zero if the true value is that low, and their lower bound."""

_BISECTIONS = 22
_SAFE_STAKE = 0.9
_PRIOR_VARIANCE = 0.25


def betting_lower_bound(gains: Gains, alpha: float) -> float:
    """The smallest value in [0, 1] against which a cautious gambler does not win ``1 / alpha`` times the stake.

    Waudby-Smith & Ramdas, Estimating means of bounded random variables by betting, JRSS-B 2024 (predictable plug-in
    bets of fixed horizon); for weighted rewards Waudby-Smith et al., Anytime-valid off-policy inference, 2024.
    Markov's inequality on the gambler's capital makes the miss probability at most ``alpha`` at any sample size.
    """
    if not _beaten(gains, 0.0, alpha):
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (middle, high) if _beaten(gains, middle, alpha) else (low, middle)
    return low


def _beaten(gains: Gains, value: float, alpha: float) -> bool:
    gain, floor = gains(value)
    count = len(gain)
    seen = np.concatenate(([0.0], np.cumsum(gain[:-1] ** 2)))  # a bet may know the past only
    variance = (_PRIOR_VARIANCE + seen) / np.arange(1, count + 1)
    stake = np.minimum(np.sqrt(2 * np.log(1 / alpha) / (variance * count)), _SAFE_STAKE / max(floor, 1e-12))
    return bool(np.log1p(stake * gain).sum() >= np.log(1 / alpha))


def ips_interval(weights: Floats, rewards: Floats, alpha: float) -> tuple[float, float]:
    """Of the mean of weight times reward; rewards in [0, 1]. Losses are bet on for the upper end."""

    def lower(reward: Floats) -> float:
        return betting_lower_bound(lambda value: (weights * reward - value, value), alpha / 2)

    return lower(rewards), 1.0 - lower(1.0 - rewards)


def self_normalised_interval(weights: Floats, rewards: Floats, alpha: float) -> tuple[float, float]:
    """As ``ips_interval``, betting on weight times (reward - value): it does not pay for the noise of the weights' sum.

    The stake is capped by the largest weight of the log, which stands for the largest there could be.
    """
    largest = float(weights.max())

    def lower(reward: Floats) -> float:
        return betting_lower_bound(lambda value: (weights * (reward - value), largest * value), alpha / 2)

    return lower(rewards), 1.0 - lower(1.0 - rewards)


def jackknife_interval(terms: Floats, weights: Floats, alpha: float) -> tuple[float, float]:
    """Of the mean of ``terms``: leave-one-out variance with the weights as leverage, Student's t at the effective size.

    Efron & Stein, The jackknife estimate of variance, 1981; the degrees of freedom follow Kish's effective sample size.
    """
    count, centre = len(terms), float(terms.mean())
    leverage = np.minimum(weights / max(float(weights.sum()), 1e-12), 0.5)
    deviation = (terms - centre) / (1.0 - leverage)
    error = float(np.sqrt(np.square(deviation).sum())) / count
    reach = float(stdtrit(max(effective_size(weights) - 1.0, 1.0), 1 - alpha / 2)) * error
    return centre - reach, centre + reach


def effective_size(weights: Floats) -> float:
    """Kish's effective sample size: how many unweighted decisions say as much."""
    square = float(np.square(weights).sum())
    return float(weights.sum()) ** 2 / square if square else 0.0

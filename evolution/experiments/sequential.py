"""Tests of unbounded metrics and of the split that stay valid however often one looks. Called by ``deciding``.

Difference of two means: the mixture sequential probability ratio test with a normal mixture, as a confidence sequence
(Robbins 1970; Johari, Koomen, Pekelis & Walsh, Always Valid Inference, Operations Research 2022), with sample variances
in place of the true ones: valid in the limit (Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, Time-uniform Central Limit
Theory, Annals of Statistics 2024), hence only after a burn-in. Success, which decides, has a bound that holds exactly:
``evidence``. Split of traffic: a beta-binomial e-value (Lindon & Malek, Anytime-Valid Inference for Multinomial Count
Data, NeurIPS 2022).
"""

import math
from collections.abc import Iterable

from scipy.special import betaln

from evolution.experiments.evidence import UNKNOWN, Difference
from evolution.experiments.tallies import Moments, Stage
from schemas.assignment import CONTROL, TREATMENT

BURN_IN = 50
"""Values that each arm needs before its sample variance is trusted."""


def difference(stages: Iterable[Stage], metric: str, alpha: float, expected: float) -> Difference:
    """How much treatment exceeds control in a metric.

    Stages are compared within themselves and then averaged: when the share of the canary grows while the world
    changes, pooled means would compare yesterday's control with today's treatment. ``expected`` is the size of
    difference for which the interval is tightest.
    """
    weights, values, errors = [], [], []
    for stage in stages:
        treated, control = stage.moments(TREATMENT, metric), stage.moments(CONTROL, metric)
        if min(treated.count, control.count) < BURN_IN:
            continue
        weights.append(treated.count * control.count / (treated.count + control.count))
        values.append(treated.mean - control.mean)
        errors.append(_error(treated) + _error(control))
    if not weights:
        return UNKNOWN
    total = sum(weights)
    value = sum(weight * v for weight, v in zip(weights, values, strict=True)) / total
    variance = sum(weight**2 * e for weight, e in zip(weights, errors, strict=True)) / total**2
    reach = radius(variance, alpha, expected)
    return Difference(value, value - reach, value + reach)


def radius(variance: float, alpha: float, expected: float) -> float:
    """Half the width of the confidence sequence for an estimate of that variance."""
    if variance <= 0.0:
        return 0.0
    mixture = expected**2
    return math.sqrt(variance * (variance + mixture) / mixture * math.log((variance + mixture) / (variance * alpha**2)))


def _error(moments: Moments) -> float:
    """Squared standard error."""
    return moments.variance / moments.count


def split_evidence(treated: int, total: int, share: float) -> float:
    """How many times likelier another split is than ``share``: past 1 / alpha the split is broken."""
    if total == 0:
        return 1.0
    if share in (0.0, 1.0):
        return 1.0 if treated == total * share else math.inf
    # A prior worth 100 tasks around the intended share: sharp enough to see a loss of a few percent of one arm.
    heads, tails = 100 * share, 100 * (1 - share)
    log = betaln(heads + treated, tails + total - treated) - betaln(heads, tails)
    log -= treated * math.log(share) + (total - treated) * math.log1p(-share)
    return math.exp(min(float(log), 700.0))

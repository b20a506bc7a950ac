"""Weighs the features to a chance of success: one logistic regression for all agents. Called by ``policy``.

Newton's method on the penalised likelihood, pulled to ``PRIOR``: a few outcomes move the weights a little, thousands
move them freely. Outcomes of choices that were seldom made count for more (clipped inverse propensity), or the weights
would only fit the agents that are chosen already.
"""

import numpy as np
from numpy.typing import NDArray

from agents.matching.live.features import NAMES

Floats = NDArray[np.float32]
Weights = NDArray[np.float64]

PRIOR = {
    "bias": -0.3,
    "nearness": 0.3,
    "nearness unproven": 0.5,
    "words": 0.5,
    "alike": 0.5,
    "kindred": 0.8,
    "wide": 0.3,
    "alike votes": 1.0,
    "kindred votes": 1.0,
    "wide votes": 0.5,
    "reputation": 0.1,
    "reputation unproven": 0.3,
    "slowness": -0.05,
    "price": -0.05,
    "load": -0.3,
}
PRIOR_WEIGHTS: Weights = np.array([PRIOR.get(name, 0.0) for name in NAMES])
PULL = 10.0
"""As strong as so many outcomes, for a feature of size one."""
NEVER_AGAINST = (
    "nearness", "alike", "kindred", "wide", "alike votes", "kindred votes", "wide votes", "reputation",
)  # fmt: skip
"""Nearer, better proven, better reputed is never worse: what few outcomes say against it is chance."""
ROWS_KEPT = 2_000
IMPORTANCE_MAX = 5.0
NEWTON_STEPS = 8


def chances(rows: Floats, weights: Weights) -> Floats:
    """(candidates,) 0-1 of (candidates, len(NAMES))."""
    odds: Floats = np.clip(rows @ weights.astype(np.float32), -12.0, 12.0)
    chance: Floats = (1.0 / (1.0 + np.exp(-odds))).astype(np.float32)
    return chance


def fit(rows: Floats, outcomes: Floats, importance: Floats, prior: Weights = PRIOR_WEIGHTS) -> Weights:
    """Weights (len(NAMES),) of outcomes 0-1. No rows: the prior. Milliseconds for ``ROWS_KEPT`` rows."""
    weights = prior.copy()
    if not len(rows):
        return weights
    wide = rows.astype(np.float64)
    for _ in range(NEWTON_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(wide @ weights, -12.0, 12.0)))
        slope = wide.T @ (importance * (outcomes - chance)) - PULL * (weights - prior)
        curve = (wide * (importance * chance * (1.0 - chance))[:, None]).T @ wide + PULL * np.eye(len(weights))
        step = np.linalg.solve(curve, slope)
        weights = weights + step
        if np.abs(step).max() < 1e-4:
            break
    return _signed(weights)


def _signed(weights: Weights) -> Weights:
    signed = weights.copy()
    for name in NEVER_AGAINST:
        place = NAMES.index(name)
        signed[place] = max(0.0, signed[place])
    return signed


def importance_of(propensity: float) -> float:
    """How much an outcome counts that was sought with this probability."""
    return min(1.0 / max(propensity, 1e-6), IMPORTANCE_MAX)

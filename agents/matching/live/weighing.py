"""Weighs the features to a chance of success: one logistic regression for all agents. Called by ``policy``.

The penalised likelihood by L-BFGS-B, pulled to ``PRIOR``: a few outcomes move the weights a little, thousands
move them freely. Outcomes of choices that were seldom made count for more (clipped inverse propensity), or the weights
would only fit the agents that are chosen already.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

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
    "group": 0.8,
    "group votes": 1.0,
    "own steps": 0.5,
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
    "nearness", "alike", "kindred", "wide", "alike votes", "kindred votes", "wide votes", "group",
    "group votes", "own steps", "reputation",
)  # fmt: skip
"""Nearer, better proven, better reputed is never worse: what few outcomes say against it is chance."""
ROWS_KEPT = 2_000
IMPORTANCE_MAX = 5.0
STEPS_MAX = 100


def chances(rows: Floats, weights: Weights) -> Floats:
    """(candidates,) 0-1 of (candidates, len(NAMES))."""
    odds: Floats = np.clip(rows @ weights.astype(np.float32), -12.0, 12.0)
    chance: Floats = (1.0 / (1.0 + np.exp(-odds))).astype(np.float32)
    return chance


def fit(rows: Floats, outcomes: Floats, importance: Floats, prior: Weights = PRIOR_WEIGHTS) -> Weights:
    """Weights (len(NAMES),) of outcomes 0-1. No rows: the prior. Some 10 ms for ``ROWS_KEPT`` rows."""
    if not len(rows):
        return prior.copy()
    wide, truth = rows.astype(np.float64), outcomes.astype(np.float64)

    def loss(weights: Weights) -> tuple[float, Weights]:
        odds = wide @ weights
        moved = weights - prior
        value = importance @ (np.logaddexp(0.0, odds) - truth * odds) + PULL * moved @ moved
        chance = 1.0 / (1.0 + np.exp(-np.clip(odds, -30.0, 30.0)))
        return float(value), wide.T @ (importance * (chance - truth)) + 2 * PULL * moved

    bounds = [(0.0, None) if name in NEVER_AGAINST else (None, None) for name in NAMES]
    found = minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS_MAX})
    weights: Weights = found.x
    return weights


def importance_of(propensity: float) -> float:
    """How much an outcome counts that was sought with this probability."""
    return min(1.0 / max(propensity, 1e-6), IMPORTANCE_MAX)

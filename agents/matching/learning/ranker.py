"""Weighs the features: one weight for each, the same for all agents. A conditional logit. Called by ``model``.

McFadden 1974: the chance of a candidate is the softmax, over the shortlist, of its weighted features. The weights are
pulled to ``PRIOR_WEIGHTS``, so that a handful of solved queries moves them a little and thousands move them freely.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from agents.matching.learning.features import NAMES

Floats = NDArray[np.float32]
Weights = NDArray[np.float64]

PRIOR = {
    "meaning": 0.3,
    "words": 0.2,
    "learned_meaning": 0.5,
    "votes": 0.1,
    "votes_mapped": 0.2,
    "nearest_mapped": 0.3,
    "inside": 0.2,
    "habit": 0.3,
    "habit_words": 0.15,
    "kernel_ridge": 1.0,
    "failed_near": -0.5,
    "failed_votes": -1.0,
}
SPEAKS_FOR_AN_AGENT = frozenset({"kernel_ridge"})
"""Never weighed against one. Where each agent has solved one past query alone, leaving that query out takes away all
that speaks for its right agent: left free, the weight turns, and tried agents lose what they are best at."""
PRIOR_WEIGHTS: Weights = np.array([PRIOR.get(name, 0.0) for name in NAMES])
PULL = 10.0
"""As strong as so many rows, for a weight whose feature deviates by one within shortlists."""
ITERATIONS_MAX = 200
LOST_MAX = 0.999


@dataclass(frozen=True, slots=True, eq=False)
class Weighing:
    """``weights`` (len(NAMES),)."""

    weights: Weights

    def logits(self, features: Floats) -> Floats:
        """(queries, places) float32 of (queries, places, features)."""
        return features @ self.weights.astype(np.float32)


def fit(features: Floats, targets: Floats, importance: Floats) -> Weighing:
    """``targets`` (rows, places) sum to 1 in a row that was solved; in a row that failed, -1 marks who failed it.

    ``importance`` (rows,) counts rows. No rows: the prior.
    """
    if not len(features):
        return Weighing(PRIOR_WEIGHTS)
    spread = (features - features.mean(axis=1, keepdims=True)).reshape(-1, features.shape[2]).std(axis=0) + 1e-3
    scaled = features / spread
    start = PRIOR_WEIGHTS * spread
    total = float(importance.sum())
    right, wrong = np.maximum(targets, 0.0), np.maximum(-targets, 0.0)

    def loss(weights: Weights) -> tuple[float, Weights]:
        likelihood, excess = _slope(scaled @ weights.astype(np.float32), right, wrong)
        likelihood, excess = (likelihood * importance).sum(), excess * importance[:, None]
        gradient = np.tensordot(excess, scaled, axes=([0, 1], [0, 1])).astype(np.float64)
        moved = weights - start
        return (PULL * moved @ moved - likelihood) / total, (2 * PULL * moved + gradient) / total

    bounds = [(0.0 if name in SPEAKS_FOR_AN_AGENT else None, None) for name in NAMES]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": ITERATIONS_MAX})
    return Weighing(found.x / spread)


def _slope(logits: Floats, right: Floats, wrong: Floats) -> tuple[Floats, Floats]:
    """Each row's log likelihood, and its negative derivative by the logits.

    A solved row has the likelihood of its right agents, a failed one that of anybody but its wrong agents.
    """
    logits -= logits.max(axis=1, keepdims=True)
    chances = np.exp(logits)
    sums = chances.sum(axis=1, keepdims=True)
    chances /= sums
    solved = right.sum(axis=1)
    lost = np.minimum((chances * wrong).sum(axis=1, keepdims=True), LOST_MAX)
    likelihood = (right * (logits - np.log(sums))).sum(axis=1) + np.log1p(-lost[:, 0])
    excess = solved[:, None] * chances - right + chances * (wrong - lost) / (1.0 - lost)
    return likelihood, excess

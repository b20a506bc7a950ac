"""How likely it is that nobody fits: logistic regression on how near a query is to anything. Called by ``model``.

Nearness can only speak for somebody and nearness to unsolved queries only for nobody: the signs of the weights are
given. Left free, they follow whatever the few examples of strange queries share, and are wrong on the next ones.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from agents.matching.learning.features import SCOPE_NAMES

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]

ROWS_MIN = 8
"""Of each kind, to learn a boundary; below that the cosine of the best card decides."""
PULL = 1.5
"""As strong as so many rows, for the weight of a feature in deviations."""
CARD_MIDDLE, CARD_STEEPNESS = 0.3, 12.0
"""Before anything is learned: even odds at this cosine of the best card (see ``agents.matching.matcher``)."""

COLUMNS = (*SCOPE_NAMES, "best chance", "lead", "best score")
SPEAKS_FOR_NOBODY = frozenset({"nearest unsolved", "unsolved against solved"})
SPEAKS_FOR_KNOWN = ("nearest past mapped", "best vote", "best logit")
"""What tells any unknown query from known ones, whatever makes it strange. Where no query is known to be out of scope,
only these count, all alike: weights learned from queries of agents made to be missing catch no more of those, and a
tenth less of what is truly strange."""


class ScopeUnreadable(ValueError):
    """A document that is no scope of this version."""


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """``weights`` (len(COLUMNS),) and ``bias``: the log odds that the query is out of scope."""

    weights: Numbers
    bias: float

    @classmethod
    def untrained(cls) -> "Scope":
        """By the best card alone."""
        weights = np.zeros(len(COLUMNS))
        weights[COLUMNS.index("best card")] = -CARD_STEEPNESS
        return cls(weights, CARD_STEEPNESS * CARD_MIDDLE)

    @classmethod
    def of_document(cls, document: Mapping[str, object]) -> "Scope":
        """What ``document`` gave. Raises ScopeUnreadable when it is another thing, or knows other columns."""
        weights, bias = document.get("weights"), document.get("bias")
        if not isinstance(weights, Mapping) or set(weights) != set(COLUMNS):
            raise ScopeUnreadable(f"weights are missing or of other columns; expected {', '.join(COLUMNS)}")
        numbers = [weights[name] for name in COLUMNS] + [bias]
        if not all(isinstance(one, int | float) and math.isfinite(one) for one in numbers):
            raise ScopeUnreadable("weights and bias must be finite numbers")
        return cls(np.array(numbers[:-1], dtype=np.float64), float(numbers[-1]))

    def document(self) -> dict[str, object]:
        """All there is to it, for JSON: a worker rebuilds it with ``of_document``."""
        return {"weights": dict(zip(COLUMNS, self.weights.tolist(), strict=True)), "bias": self.bias}

    def probability(self, features: Floats) -> Numbers:
        """(queries,) 0-1 of (queries, len(COLUMNS))."""
        return _chance(features @ self.weights + self.bias)


def columns(scope: Floats, logits: Floats) -> Floats:
    """(queries, len(COLUMNS)): the scope features with what the ranker's decision adds."""
    best = np.sort(logits, axis=1)
    second = best[:, -2] if best.shape[1] > 1 else best[:, -1]
    chances = np.exp(best[:, -1] - _log_sum(best))
    return np.column_stack([scope, chances, best[:, -1] - second, best[:, -1] * 0.1]).astype(np.float32)


def _log_sum(ordered: Floats) -> Floats:
    top = ordered[:, -1:]
    total: Floats = top[:, 0] + np.log(np.exp(ordered - top).sum(axis=1))
    return total


def fit(features: Floats, outside: NDArray[np.bool_]) -> Scope:
    """``features`` (rows, len(COLUMNS)); ``outside`` (rows,): which queries nobody could serve. Too few of either kind:
    untrained. The probability is calibrated for queries of which as many are out of scope as of these."""
    if min(outside.sum(), (~outside).sum()) < ROWS_MIN:
        return Scope.untrained()
    mean, spread = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64) + 1e-6
    bounds = [(0, None) if name in SPEAKS_FOR_NOBODY else (None, 0) for name in COLUMNS]
    found, bias = _logistic((features - mean) / spread, outside, bounds)
    weights = found / spread
    return Scope(weights, float(bias - weights @ mean))


def fit_without_examples(features: Floats, made_missing: NDArray[np.bool_]) -> Scope:
    """As ``fit``, where the queries of agents ``made_missing`` (rows,) stand for all that is out of scope."""
    if min(made_missing.sum(), (~made_missing).sum()) < ROWS_MIN:
        return Scope.untrained()
    counted = [COLUMNS.index(name) for name in SPEAKS_FOR_KNOWN]
    real = features[~made_missing][:, counted]
    mean, spread = real.mean(axis=0, dtype=np.float64), real.std(axis=0, dtype=np.float64) + 1e-6
    strangeness = -((features[:, counted] - mean) / spread).mean(axis=1, keepdims=True)
    found, bias = _logistic(strangeness, made_missing, [(0, None)])
    weights = np.zeros(len(COLUMNS))
    weights[counted] = -found[0] / len(counted) / spread
    return Scope(weights, float(bias - weights[counted] @ mean))


def _logistic(
    scaled: Numbers, outside: NDArray[np.bool_], bounds: Sequence[tuple[float | None, float | None]]
) -> tuple[Numbers, float]:
    """Weights within their bounds, and the bias."""
    truth = outside.astype(np.float64)

    def loss(values: Numbers) -> tuple[float, Numbers]:
        weights, odds = values[:-1], scaled @ values[:-1] + values[-1]
        missed = _chance(odds) - truth
        gradient = np.append(scaled.T @ missed + 2 * PULL * weights, missed.sum())
        return float(np.logaddexp(0.0, odds).sum() - truth @ odds + PULL * weights @ weights), gradient

    start = np.zeros(scaled.shape[1] + 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[*bounds, (None, None)])
    return found.x[:-1], float(found.x[-1])


def _chance(odds: Numbers) -> Numbers:
    clipped: Numbers = np.clip(odds, -50, 50)
    return 1.0 / (1.0 + np.exp(-clipped))

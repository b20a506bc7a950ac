"""How likely a network brings its task to success, and how sure that is: calibrated on how earlier forecasts fared.

The structural guess is the product of each step's reliability and the mean fit of skills to goals; Platt's scaling
(1999), fitted by Newton's method under a prior that changes nothing, makes it honest. Called by ``estimate``'s callers.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from agents.planning.past import StepPast, Z, log_odds
from schemas.network import Interval, Network

KEPT = 512
FITTED_SHARE = 8
"""Of many remembered forecasts, one in so many have to be new before they are looked at again."""
FIT_EVERY = 8
PRIOR_SD = (1.0, 0.5)
"""Of offset and slope: how far experience has to push before the guess is believed less than it says of itself."""
NEWTON_STEPS = 8
FIT_DEFAULT = 0.8
"""Chance that a chosen skill suits its goal when matching did not say."""


@dataclass(frozen=True, slots=True)
class Promise:
    """``guess`` is structural, ``quality`` calibrated, 8 of 10 such networks succeed as often as the interval says."""

    guess: float
    quality: Interval
    steps_seen: int


class Calibration:
    """The last forecasts with what came of them. Without any, a guess is taken at its word, with a wide interval."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, bool]] = deque(maxlen=KEPT)
        # What is fitted, worked out once for each forecast: its log odds, and 1.0 for a success.
        self._rows: deque[tuple[float, float]] = deque(maxlen=KEPT)
        self._new = 0
        self._weights = np.array([0.0, 1.0])
        self._covariance = np.diag(np.square(PRIOR_SD))

    @property
    def forecasts(self) -> tuple[tuple[float, bool], ...]:
        """What it was told, oldest first."""
        return tuple(self._seen)

    def learn(self, guess: float, *, success: bool) -> None:
        """One forecast met its outcome."""
        self._remember(round(guess, 4), success)
        self._new += 1
        if self._new >= max(FIT_EVERY, len(self._seen) // FITTED_SHARE):
            self._fit()

    def restore(self, forecasts: Iterable[tuple[float, bool]]) -> None:
        """Take over what another worker wrote down."""
        self._seen.clear()
        self._rows.clear()
        for guess, success in forecasts:
            self._remember(guess, success)
        self._fit()

    def calibrated(self, guess: float, doubt: float) -> Interval:
        """The chance of success. ``doubt`` is the variance of the guess's log odds."""
        features = np.array([1.0, log_odds(guess)])
        middle = float(features @ self._weights)
        variance = float(features @ self._covariance @ features) + doubt * float(self._weights[1]) ** 2
        reach = Z * math.sqrt(variance)
        low, centre, high = expit([middle - reach, middle, middle + reach])
        return Interval(low=float(low), middle=float(centre), high=float(high))

    def _remember(self, guess: float, success: bool) -> None:
        self._seen.append((guess, success))
        self._rows.append((log_odds(guess), float(success)))

    def _fit(self) -> None:
        self._new = 0
        odds, right = np.array(self._rows, dtype=np.float64).reshape(-1, 2).T
        rows = np.column_stack((np.ones_like(odds), odds))
        prior, precision = np.array([0.0, 1.0]), np.diag(1.0 / np.square(PRIOR_SD))
        weights = prior.copy()
        for _ in range(NEWTON_STEPS):
            chance = expit(rows @ weights)
            gradient = rows.T @ (right - chance) - precision @ (weights - prior)
            curvature = (rows * (chance * (1.0 - chance))[:, None]).T @ rows + precision
            weights = weights + np.clip(np.linalg.solve(curvature, gradient), -1.0, 1.0)
        # A guess that is higher never means less: what few outcomes say against it is chance.
        weights[1] = max(float(weights[1]), 0.05)
        self._weights, self._covariance = weights, np.linalg.inv(curvature)


def promise_of(network: Network, fits: Mapping[str, float], past: StepPast, calibration: Calibration) -> Promise:
    """What the network promises. ``fits`` is by node: the chance that its skill suits its goal; bridges have none."""
    steps = [past.step(node.agent_id, node.skill_id) for node in network.nodes]
    fit = math.exp(sum(math.log(max(fit, 1e-4)) for fit in fits.values()) / len(fits)) if fits else FIT_DEFAULT
    guess = fit * math.prod(step.reliability for step in steps)
    # Independent doubts about the steps add up; each moves the product's log odds by about its own share.
    doubt = sum(step.doubt * (1.0 - step.reliability) ** 2 for step in steps) / max(1.0 - guess, 0.05) ** 2
    quality = calibration.calibrated(guess, doubt)
    return Promise(guess, quality, sum(step.seen for step in steps))

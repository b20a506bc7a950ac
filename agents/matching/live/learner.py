"""A policy that also fits its weights: what the evolution role teaches. Called by its pupils, and by benchmarks."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from agents.matching.live.features import Shown
from agents.matching.live.policy import WORTHLESS, LivePolicy, Outcome
from agents.matching.live.trust import NEARNESS_UNCLAIMED, Trust
from agents.matching.live.weighing import ROWS_KEPT, Weights, fit, importance_of

Floats = NDArray[np.float32]

UNPROVEN = 0.5
"""Less evidence than that at tasks like this one is none."""


class Learner:
    """``learn`` costs under a millisecond, ``fit`` ten and up to 2 an agent."""

    def __init__(self, policy: LivePolicy, rows_kept: int = ROWS_KEPT) -> None:
        self.policy = policy
        self._trust = Trust()
        self._rows: deque[Floats] = deque(maxlen=rows_kept)
        self._outcomes: deque[float] = deque(maxlen=rows_kept)
        self._tasks: deque[str] = deque(maxlen=rows_kept)
        self._importance: deque[float] = deque(maxlen=rows_kept)

    def learn(self, outcome: Outcome) -> float:
        """First judge, then learn: how far the chance that was foretold lay off what the outcome counts."""
        shown = Shown(*(np.array([value], dtype=np.float32) for value in _shown(outcome)))
        judged = self.policy.judge(outcome.vector, [outcome.agent_id], shown)
        unclaimed = outcome.nearness is not None and outcome.nearness < NEARNESS_UNCLAIMED
        self._trust.hear(outcome.success, stranger=unclaimed and bool(judged.amount[0] < UNPROVEN))
        self.policy.trust = self._trust.share
        self._rows.append(judged.laid.rows[0])
        self._outcomes.append(self.policy.credit(outcome))
        self._tasks.append(outcome.task_id)
        self._importance.append(importance_of(outcome.propensity))
        self.policy.learn(outcome)
        return float(judged.chances[0]) - self._outcomes[-1]

    def correct(self, task_id: str, success: float) -> bool:
        """See ``LivePolicy.correct``; weights fitted from now on heed it too."""
        counted = max(success, WORTHLESS)
        for row, known in enumerate(self._tasks):
            if known == task_id and self._outcomes[row] > 0.0:
                self._outcomes[row] = counted
        return self.policy.correct(task_id, success)

    def fit(self) -> Weights:
        """Fit the weights to the latest outcomes, from the prior: the same outcomes give the same weights."""
        self.policy.look()
        if self._rows:
            rows, outcomes = np.stack(self._rows), np.array(self._outcomes, dtype=np.float32)
            self.policy.weights = fit(rows, outcomes, np.array(self._importance, dtype=np.float32))
        return self.policy.weights


def _shown(outcome: Outcome) -> tuple[float, float, float]:
    return outcome.nearness or 0.0, outcome.words, outcome.load

"""What agents scored on past prompts, each tried on some of them only. Called by ``routing``.

An agent that was tried on easy prompts alone looks good, so means are taken in a two-way model: a score is the agent's
level plus the prompt's ease, each found from the other in turn (the additive model of two-way tables, Tukey 1977).
With every outcome known that is the plain mean.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Truths = NDArray[np.bool_]

ROUNDS = 30
EASE_PULL = 0.25
"""A prompt's ease counts as if a quarter of an agent more had found it ordinary."""
DOUBT = 1.0
"""Standard errors taken off the level of an agent that was tried less than the most tried one."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """``scores`` (prompts, agents) float32, estimated where ``tried`` is False; ``levels`` (agents,) are careful means:
    an agent with few outcomes has to be that much better to lead."""

    scores: Floats
    tried: Truths
    levels: Floats

    @classmethod
    def of(cls, scores: Floats) -> "Outcomes":
        """``scores`` (prompts, agents), NaN where an agent was not tried; at least one was tried somewhere."""
        tried = ~np.isnan(scores)
        known = np.where(tried, scores, 0.0).astype(np.float64)
        counts = tried.sum(axis=0)
        overall = known.sum() / max(int(tried.sum()), 1)
        level, ease = _levels_and_ease(known, tried, overall)
        spread = np.sqrt(np.square((known - overall)[tried]).mean()) if tried.any() else 0.0
        less = np.maximum(1.0 / np.maximum(counts, 1) - 1.0 / max(int(counts.max()), 1), 0.0)
        careful = level - DOUBT * spread * np.sqrt(less)
        filled = np.where(tried, known, level + ease[:, None])
        return cls(filled.astype(np.float32), tried, careful.astype(np.float32))

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def best(self) -> int:
        """The row of the best single agent."""
        return int(self.levels.argmax())

    def pick(self, rows: Rows) -> "Outcomes":
        """Some of the prompts, as if the others had never been."""
        return Outcomes.of(np.where(self.tried[rows], self.scores[rows], np.float32(np.nan)))


def _levels_and_ease(
    known: NDArray[np.float64], tried: Truths, overall: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    by_agent, by_prompt = tried.sum(axis=0), tried.sum(axis=1)
    level = np.full(known.shape[1], overall)
    ease = np.zeros(len(known))
    for _ in range(ROUNDS):
        above = np.where(tried, known - ease[:, None], 0.0).sum(axis=0)
        level = np.where(by_agent > 0, above / np.maximum(by_agent, 1), overall)
        ease = np.where(tried, known - level, 0.0).sum(axis=1) / (by_prompt + EASE_PULL)
    usual = ease.mean()
    return level + usual, ease - usual

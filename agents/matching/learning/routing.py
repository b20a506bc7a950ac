"""Which of several interchangeable agents does best on a prompt, and when not to try. Called by ``aos bench route``.

Generalists all match every prompt; what differs is how well they do, and by how little the text tells. Two predictors
of each agent's score are averaged: ridge regression over words, meaning and form, and the nearest past prompts. Then
``guard`` decides: another agent than the best single one is chosen only where held-out prompts as familiar as this one
have shown, with confidence, that following so large a predicted advantage pays.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.matching.learning import boundaries, guard
from agents.matching.learning.guard import Guard
from agents.matching.learning.outcomes import Outcomes
from agents.matching.learning.prompts import Described, Describer, Prompts

__all__ = ["Guard", "Predictor", "Prompts", "Router", "fit"]

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]
Truths = NDArray[np.bool_]

RIDGE = 60.0
RIDGE_STEPS = 25
NEIGHBOURS = 50
NEIGHBOUR_SHARPNESS = 10.0
CROWD = 10
ASKED_AT_ONCE = 512
ROWS_MIN = 40
ROWS_MAX = 20_000
"""So many past prompts are learned from, drawn by seed from more: the rest costs minutes and moves nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """Expected scores, and how familiar a prompt is."""

    weights: Floats
    levels: Floats
    known: Described
    crowding: Floats
    scores: Floats

    @classmethod
    def fit(cls, described: Described, outcomes: Outcomes) -> "Predictor":
        """The regression learns from what was tried alone; among neighbours the untried count as estimated."""
        tried = outcomes.tried.astype(np.float32)
        weights = boundaries.conjugate(
            described.space,
            tried,
            described.space.back(tried * (outcomes.scores - outcomes.levels)),
            ridge=RIDGE,
            steps=RIDGE_STEPS,
        )
        _, alike = _nearest(described, described, CROWD + 1)
        crowding = alike[:, 1:].mean(axis=1) if len(described) > 1 else np.zeros(len(described), dtype=np.float32)
        return cls(weights, outcomes.levels, described, crowding, outcomes.scores)

    def predict(self, described: Described) -> tuple[Floats, Floats]:
        """(prompts, agents) expected scores, and (prompts,) familiarity.

        Familiarity is how like the nearest prompts are, less how like those are to their own nearest: about 0 for a
        known kind, below for a new one, however dense or loose the kinds around it (the local outlier factor of
        Breunig et al. 2000, as a difference).
        """
        near, closeness = _nearest(described, self.known, NEIGHBOURS)
        shares = np.exp(NEIGHBOUR_SHARPNESS * (closeness - closeness[:, :1]))
        shares /= shares.sum(axis=1, keepdims=True)
        voted = np.einsum("pn,pna->pa", shares, self.scores[near])
        linear = described.space.times(self.weights) + self.levels
        familiarity = closeness[:, :CROWD].mean(axis=1) - self.crowding[near[:, :CROWD]].mean(axis=1)
        return ((linear + voted) / 2).astype(np.float32), familiarity


def _nearest(asked: Described, among: Described, count: int) -> tuple[Rows, Floats]:
    """(asked, count) the rows that resemble each most, and how much, most first."""
    count = min(count, len(among))
    rows, closeness = [np.zeros((0, count), dtype=np.int64)], [np.zeros((0, count), dtype=np.float32)]
    for start in range(0, len(asked), ASKED_AT_ONCE):
        every = asked.pick(np.arange(start, min(start + ASKED_AT_ONCE, len(asked)))).resemblance(among)
        near = np.argpartition(-every, count - 1, axis=1)[:, :count]
        close = np.take_along_axis(every, near, axis=1)
        order = np.argsort(-close, axis=1)
        rows.append(np.take_along_axis(near, order, axis=1))
        closeness.append(np.take_along_axis(close, order, axis=1))
    return np.concatenate(rows), np.concatenate(closeness)


@dataclass(frozen=True, slots=True, eq=False)
class Router:
    """``best`` is the row of the best single agent; ``levels`` (agents,) order them where that one is not to be had."""

    describer: Describer
    predictor: Predictor
    guard: Guard
    best: int
    levels: Floats

    def choose(self, prompts: Prompts, costs: Floats | None = None, available: Truths | None = None) -> Rows:
        """(prompts,) the agent for each, of those that are ``available`` (prompts, agents); None means all of them.

        ``costs`` (agents,) are subtracted from expected scores: then thrift may choose what the guard alone would not,
        because saving is certain where gaining is not. Every prompt needs somebody available.
        """
        expected, familiarity = self.predictor.predict(self.describer.describe(prompts))
        free = np.ones(expected.shape, dtype=bool) if available is None else available
        expected = np.where(free, expected, -np.inf)
        rows = np.arange(len(expected))
        chosen, best = expected.argmax(axis=1), self.best_of(free)
        trusted = self.guard.trusts(expected[rows, chosen] - expected[rows, best], familiarity)
        kept = np.where(trusted, chosen, best).astype(np.int64)
        if costs is None or not costs.any():
            return kept
        worth = expected - costs
        thrifty = worth.argmax(axis=1)
        return np.where(worth[rows, thrifty] > worth[rows, kept], thrifty, kept).astype(np.int64)

    def best_of(self, available: Truths) -> Rows:
        """(prompts,) the best single agent of those ``available`` (prompts, agents)."""
        best: Rows = np.where(available, self.levels, -np.inf).argmax(axis=1).astype(np.int64)
        return best


def fit(prompts: Prompts, scores: Floats, seed: int = 0) -> Router:
    """``scores`` (prompts, agents), NaN where an agent was not tried. Fewer than ROWS_MIN prompts: always the best."""
    every = Outcomes.of(scores)
    if len(prompts) > ROWS_MAX:
        rows = np.sort(np.random.default_rng(seed).choice(len(prompts), ROWS_MAX, replace=False))
        prompts, outcomes = prompts.pick(rows), every.pick(rows)
    else:
        outcomes = every
    describer = Describer.fit(prompts.texts)
    described = describer.describe(prompts)

    def predict(learned: Rows, asked: Rows) -> tuple[Floats, Floats]:
        return Predictor.fit(described.pick(learned), outcomes.pick(learned)).predict(described.pick(asked))

    trusted = guard.fit(described, outcomes, predict, seed) if len(prompts) >= ROWS_MIN else Guard.closed()
    return Router(describer, Predictor.fit(described, outcomes), trusted, every.best, every.levels)

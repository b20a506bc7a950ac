"""What each agent's own steps say of it at a new task: one Gaussian process for each agent. Called by ``policy``.

The mean of Gaussian process regression (Rasmussen and Williams 2006, algorithm 2.1) on how far each step's outcome lay
from the usual one. An agent learns from its own steps alone: that others are asked more often says nothing against it,
and the systems to be solved are small. The noise of an outcome grows with every later step of the agent, for agents
change. Between two looks a step corrects what was said of it (kernel least mean squares, Liu et al. 2008).
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Agents = NDArray[np.int32]
Serials = NDArray[np.int64]

NOISE = 0.3
"""Variance of an agent's latest outcome, that of what is looked for being 1."""
HALF_LIFE_STEPS = 64.0
"""After so many later steps of the agent an outcome is twice as noisy."""
STEPS_MAX = 192
"""So many of an agent's latest steps are looked at: some 2 ms for an agent."""
GROWTH = 0.125
"""An agent is looked at again when it did so much more than was looked at."""


class OwnSteps:
    """A weight for each past step: what is said of an agent is the sum of its steps' weights by likeness.

    Rows are those of the past, which may have dropped some since they were weighed: each is known by its serial (see
    ``PastTasks.serials``). For one thread at a time.
    """

    def __init__(self) -> None:
        self._weights = np.zeros(0, dtype=np.float32)
        self._added = np.zeros(0, dtype=np.float32)
        self._serials = np.zeros(0, dtype=np.int64)
        self._usual: float | None = None
        self._looked = np.zeros(0, dtype=np.int64)

    def look(self, vectors: Floats, agents: Agents, outcomes: Floats, usual: float, serials: Serials) -> None:
        """At the agents of whom enough is new. Rows of the past: (rows, dimension) unit-norm, (rows,) agents' numbers

        and outcomes; ``usual`` is that of all steps.
        """
        self._usual = usual
        self._reach(serials)
        done = np.bincount(agents, minlength=len(self._looked))
        looked = np.pad(self._looked, (0, len(done) - len(self._looked)))
        enough = np.maximum(1.0, GROWTH * np.minimum(looked, STEPS_MAX))
        for agent in np.flatnonzero(np.abs(done - looked) >= enough):
            rows = np.flatnonzero(agents == agent)
            self._weights[rows] = self._added[rows] = 0.0
            latest = rows[-STEPS_MAX:]
            self._weights[latest], self._added[latest] = solved(vectors[latest], outcomes[latest] - usual)
            looked[agent] = done[agent]
        self._looked = looked

    def hear(self, vectors: Floats, agents: Agents, outcomes: Floats, new: int, serials: Serials) -> None:
        """The last ``new`` rows of the past were added. Some 60 µs for each agent among them."""
        if self._usual is None:
            return
        self._reach(serials)
        first = len(agents) - new
        for agent in np.unique(agents[first:]):
            rows = np.flatnonzero(agents == agent)
            fresh = int(np.searchsorted(rows, first))
            rows = rows[max(0, fresh - STEPS_MAX) :]
            fresh = min(fresh, STEPS_MAX)
            likeness = alike(vectors[rows[fresh:]] @ vectors[rows].T)
            for at, row in enumerate(rows[fresh:].tolist(), fresh):
                before = slice(max(0, at - STEPS_MAX), at)
                said = likeness[at - fresh, before] @ self._weights[rows[before]]
                self._weights[row] = self._added[row] = (outcomes[row] - self._usual - said) / (1.0 + NOISE)

    def outdate(self, agent: int) -> None:
        """One of its outcomes was corrected: the next look is at this agent too."""
        self._looked[agent : agent + 1] = 0

    def keep(self, agents: NDArray[np.int64]) -> None:
        """All but these are forgotten, and these numbered anew in this order; the rows stay."""
        looked = np.pad(self._looked, (0, max(0, int(agents.max(initial=-1)) + 1 - len(self._looked))))
        self._looked = looked[agents]

    def said(self, cosines: Floats, agents: Agents, serials: Serials) -> Floats:
        """(agents,) how far beyond the usual each agent's outcome is expected to lie, 0 for whom nothing is known.

        ``cosines`` (rows,) of a task to the rows of the past.
        """
        weights, _ = self.kept(serials)
        likeness = alike(cosines[: len(weights)])
        said: Floats = np.bincount(agents[: len(weights)], likeness * weights).astype(np.float32)
        return said

    def added(self, rows: NDArray[np.int64], serials: Serials) -> Floats:
        """(rows,) of what is said of an agent at the task of its own step, how much the step itself adds."""
        _, added = self.kept(serials)
        return np.append(added, np.float32(0.0))[np.minimum(rows, len(added))]

    def kept(self, serials: Serials) -> tuple[Floats, Floats]:
        """Of the past's rows that were weighed, its first: the weight of each, and what it adds at its own task."""
        known = len(self._serials)
        if known == 0 or (known <= len(serials) and serials[known - 1] == self._serials[-1]):
            return self._weights, self._added  # nothing was dropped since
        there = np.searchsorted(self._serials, serials[: np.searchsorted(serials, self._serials[-1], side="right")])
        return self._weights[there], self._added[there]

    def resume(self, weights: Floats, added: Floats, usual: float) -> None:
        """As a snapshot says; (rows,) of its past, none of which has been dropped."""
        self._weights, self._added, self._usual = weights, added, usual
        self._serials = np.arange(len(weights))

    def _reach(self, serials: Serials) -> None:
        """Make room for all rows of the past; those not weighed yet say nothing."""
        self._weights, self._added = (_padded(kept, len(serials)) for kept in self.kept(serials))
        self._serials = serials.copy()


def _padded(values: Floats, rows: int) -> Floats:
    return np.concatenate([values, np.zeros(rows - len(values), dtype=np.float32)])


def alike(cosines: Floats) -> Floats:
    """The covariance of tasks with these cosines: ((1 + cosine) / 2)⁸."""
    likeness: Floats = (cosines + np.float32(1.0)) * np.float32(0.5)
    for _ in range(3):
        np.square(likeness, out=likeness)
    return likeness


def solved(vectors: Floats, beyond_usual: Floats) -> tuple[Floats, Floats]:
    """Of each of an agent's steps, oldest first, its weight, and what it adds to what is said of its own task.

    ``vectors`` (steps, dimension) unit-norm, ``beyond_usual`` (steps,). Less what a step adds, all is as if that step
    were unknown (Rasmussen and Williams, 5.4.2).
    """
    noise = NOISE * np.exp2(np.arange(len(vectors))[::-1] / HALF_LIFE_STEPS)
    inverse = np.linalg.inv(alike(vectors @ vectors.T) + np.diag(noise))
    weights = inverse @ beyond_usual
    added = weights * (1.0 / np.diagonal(inverse) - noise)
    return weights.astype(np.float32), added.astype(np.float32)

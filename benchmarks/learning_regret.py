"""Where the success that a policy misses is lost, and how well it knows newcomers. Called by ``benchmarks.learning``.

Oracle less chosen is the sum of three: the best agent was not among the candidates, a worse candidate was ranked above
it, or another than the first ranked was tried. Chances are the true ones, so luck is not counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.matching.live.features import Shown
from agents.matching.live.policy import LivePolicy
from benchmarks.learning_fleet import AGENTS, NEWCOMERS, FleetTruth, Work, agent_name

Floats = NDArray[np.float64]

WATCHED = 200
"""So many tasks say how the fleet is ranked."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Agents by number: ``candidates`` as they were ranked, best first, and who was put ``first`` in the end."""

    candidates: tuple[int, ...]
    first: int


def lost(decisions: Mapping[int, Decision], truth: FleetTruth, kinds: NDArray[np.int64], tasks: range) -> list[float]:
    """Shares of the oracle's success: not among the candidates, ranked too low, tried. Decided tasks only."""
    steps = []
    for task in tasks:
        if task in decisions:
            chances, decision = truth.strengths(task)[:, kinds[task]], decisions[task]
            ranked = chances[list(decision.candidates)]
            steps.append((chances.max(), ranked.max(), ranked[0], chances[decision.first]))
    if not steps:
        return []
    means = np.array(steps).mean(axis=0)
    return [round(float(share), 4) for share in -np.diff(means) / means[0]]


def newcomers_off(
    policy: LivePolicy, vectors: NDArray[np.float32], cards: Sequence[NDArray[np.float32]], work: Work,
    truth: FleetTruth, start: int, *, own_kind: bool,
) -> list[float]:  # fmt: skip
    """Of each newcomer how far the place that the policy gives it lies from its true one, in points of 100.

    Places are by the mean chance over the tasks from ``start``: those of the kind on its card, or all of them.
    """
    tasks = np.arange(start, min(start + WATCHED, len(work.rows)))
    ids, kinds, zeros = (
        [agent_name(agent) for agent in range(AGENTS)],
        work.kinds[work.rows],
        np.zeros(AGENTS, np.float32),
    )
    judged, true = [], []
    for task in tasks:
        vector = vectors[work.rows[task]]
        nearness = np.array([(card @ vector).max() for card in cards], dtype=np.float32)
        judged.append(policy.judge(vector, ids, Shown(nearness, zeros, zeros)).chances)
        true.append(truth.strengths(int(task))[:, kinds[task]])
    thought, known = np.array(judged), np.array(true)
    off = []
    for agent in range(AGENTS - NEWCOMERS, AGENTS):
        rows = kinds[tasks] == truth.claims[agent] if own_kind else np.ones(len(tasks), dtype=bool)
        if rows.any():
            off.append(round(abs(_place(thought[rows], agent) - _place(known[rows], agent)), 1))
    return off


def _place(chances: NDArray[np.floating], agent: int) -> float:
    """0 for the best of all, 100 for the worst."""
    means = chances.mean(axis=0)
    return float(100.0 * (means > means[agent]).sum() / (AGENTS - 1))

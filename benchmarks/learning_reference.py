"""What a learner could reach that is told more than routing ever is. Called by ``benchmarks.learning --reference``.

It is told of which kind every past task was (``past``), or of the task at hand too (``all``), and it knows what the
cards claim. What is left is tabular: a Beta distribution for each agent and kind, faded by the agent's later steps of
that kind; the kind of the task at hand is voted by the nearest past tasks. Exploration is bounded as everywhere, and
stand-ins are drawn by Thompson sampling.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from agents.matching.live.exploring import drawn, propensities
from benchmarks.learning_fleet import AGENTS, KINDS, NEWCOMERS, SPECIALISTS, FleetTruth, Work, succeeds

Floats = NDArray[np.float64]

NEAREST = 15
SHARPNESS = 12.0
STRAY = 0.02
FIRST_TASKS = 20
MEMORY_STEPS = 40.0
IMAGINED = 2.0
STRANGER, CLAIMANT, GENERALIST = 0.17, 0.65, 0.45
"""Chances before anything is known: the fleet's usual ones."""
DRAWS = 64
LAG_TASKS = 6
STAND_INS = 2


def reference(
    vectors: NDArray[np.float32], work: Work, truth: FleetTruth, seed: int, bound: float, *, told: str
) -> list[int]:
    """The agents put first. ``told`` is ``past`` or ``all``: of which tasks the kind is known."""
    rng = np.random.default_rng([seed, 5])
    tasks, kinds = vectors[work.rows], work.kinds[work.rows]
    table = np.zeros((2, AGENTS, KINDS))  # failures, successes
    believed = _claimed(truth)
    waiting: deque[tuple[int, list[int], list[bool]]] = deque()
    chosen = []
    for task in range(len(tasks)):
        present = truth.present(task)
        kind: Floats = np.eye(KINDS)[kinds[task]] if told == "all" else _voted(tasks, kinds, task)
        amount = (table.sum(axis=0) + IMAGINED)[present]
        mean = ((table[1, present] + IMAGINED * believed[present]) / amount) @ kind
        odds = np.log(mean / (1.0 - mean))
        spread = 1.0 / np.sqrt((amount @ kind + 1.0) * mean * (1.0 - mean))
        draws = odds + spread * rng.standard_normal((DRAWS, len(present)))
        ranked = np.argsort(-mean)
        best = np.bincount(draws.argmax(axis=1), minlength=len(present)) / DRAWS
        place = ranked[drawn(propensities(best[ranked], bound), float(rng.random()))]
        spare = [one for one in np.argsort(-draws[0]) if one != place][:STAND_INS]
        agents = [int(present[one]) for one in (place, *spare)]
        outcomes = [succeeds(seed, task, one, float(truth.strengths(task)[one, kinds[task]])) for one in agents]
        asked = outcomes.index(True) + 1 if any(outcomes) else len(outcomes)
        chosen.append(agents[0])
        waiting.append((int(kinds[task]), agents[:asked], outcomes[:asked]))
        if len(waiting) > LAG_TASKS:
            _count(table, *waiting.popleft())
    return chosen


def _claimed(truth: FleetTruth) -> Floats:
    """(agents, kinds) what to expect of each by its card."""
    believed = np.full((AGENTS, KINDS), STRANGER)
    claimants = [*range(SPECIALISTS), *range(AGENTS - NEWCOMERS, AGENTS)]
    believed[claimants, truth.claims[claimants]] = CLAIMANT
    believed[SPECIALISTS : AGENTS - NEWCOMERS] = GENERALIST
    return believed


def _voted(tasks: NDArray[np.float32], kinds: NDArray[np.int64], task: int) -> Floats:
    """(kinds,) how likely each is by the nearest tasks before this one."""
    if task < FIRST_TASKS:
        return np.full(KINDS, 1.0 / KINDS)
    cosines = tasks[:task] @ tasks[task]
    near = np.argpartition(cosines, -NEAREST)[-NEAREST:]
    weights = np.exp(SHARPNESS * (cosines[near] - cosines.max()))
    votes = np.bincount(kinds[near], weights=weights / weights.sum(), minlength=KINDS).astype(np.float64)
    return (1.0 - STRAY) * votes + STRAY / KINDS


def _count(table: Floats, kind: int, agents: list[int], outcomes: list[bool]) -> None:
    for agent, done in zip(agents, outcomes, strict=True):
        table[:, agent, kind] *= np.exp(-1.0 / MEMORY_STEPS)
        table[int(done), agent, kind] += 1.0

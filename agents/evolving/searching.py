"""What every search over networks promises, and what it hands back. Implemented by ``genetic``, ``policy_gradient``
and simpler ones; called by the planner's background refinement and by ``evaluation``.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from agents.evolving.genome import Population, drawn, repaired
from agents.evolving.objectives import Objectives, Problem


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of a search. ``best`` is one row; ``front`` holds the networks that no other found one dominates.

    ``history`` is the best worth after each generation; ``evaluations`` counts scored genomes, repeats included.
    """

    best: Population
    objectives: Objectives
    front: Population
    front_objectives: Objectives
    evaluations: int
    history: tuple[float, ...]

    @property
    def worth(self) -> float:
        """What the best network is worth."""
        return float(self.objectives.worth[0])


class NetworkSearch(Protocol):
    """Finds the network of highest worth within a number of evaluations."""

    def search(self, problem: Problem, seeds: Population | None, evaluations: int, seed: int) -> Found:
        """Deterministic for a given ``seed``: the same arguments give the same answer, bit for bit.

        ``seeds`` are genomes to start from (the greedy network, past winners); they need not be repaired. The answer
        is never worse than the best seed. Blocks for milliseconds: call it off the event loop.
        """
        ...


def valid_only(problem: Problem, population: Population) -> Population:
    """The repaired genomes, without those that have no repair."""
    whole, alive = repaired(problem.space, population)
    return whole if alive.all() else whole.take(alive)


def filled(problem: Problem, seeds: Population | None, size: int, rng: np.random.Generator) -> Population:
    """``size`` type-correct networks: the seeds, then random ones."""
    none = np.zeros((0, problem.space.slots), dtype=np.int64)
    kept = Population(none, none) if seeds is None else valid_only(problem, seeds)
    while len(kept) < size:
        missing = size - len(kept)
        kept = kept.joined(valid_only(problem, drawn(problem.space, missing + missing // 3, rng)))
    return kept.take(np.arange(size))

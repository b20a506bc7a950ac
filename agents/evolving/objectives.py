"""What a network is worth to a tenant: predicted quality, less its cost and its critical path."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from agents.evolving.genome import Population
from agents.evolving.quality import Predictor, linked
from agents.evolving.space import Floats, Space


class Preference(StrEnum):
    """What the tenant's policy puts first."""

    QUALITY = "quality"
    COST = "cost"
    LATENCY = "latency"


@dataclass(frozen=True, slots=True)
class Weights:
    """Worth of one unit: quality is a share; cost and latency count in units of what is usual for such a task."""

    quality: float = 1.0
    cost: float = 0.1
    latency: float = 0.1


WEIGHTS = {
    Preference.QUALITY: Weights(1.0, 0.05, 0.05),
    Preference.COST: Weights(1.0, 0.5, 0.05),
    Preference.LATENCY: Weights(1.0, 0.05, 0.5),
}


@dataclass(frozen=True, slots=True)
class Objectives:
    """(size,) each: quality 0-1, cost in the fleet's unit, critical path in ms, and the worth that weighs them."""

    quality: Floats
    cost: Floats
    latency_ms: Floats
    worth: Floats

    def rows(self, rows: NDArray[np.intp] | slice) -> "Objectives":
        """The objectives of those networks, in that order."""
        return Objectives(self.quality[rows], self.cost[rows], self.latency_ms[rows], self.worth[rows])

    def joined(self, other: "Objectives") -> "Objectives":
        """These, then the others."""
        return Objectives(
            np.concatenate((self.quality, other.quality)),
            np.concatenate((self.cost, other.cost)),
            np.concatenate((self.latency_ms, other.latency_ms)),
            np.concatenate((self.worth, other.worth)),
        )

    def to_minimise(self) -> Floats:
        """(size, 3): quality negated, cost, latency."""
        return np.stack((-self.quality, self.cost, self.latency_ms), axis=1)


@dataclass(frozen=True, slots=True)
class Problem:
    """One search: the space, who predicts quality, and the tenant's weights.

    ``usual_cost`` and ``usual_ms`` are what one typical step costs and takes, times the goals of the task.
    """

    space: Space
    predictor: Predictor
    weights: Weights
    usual_cost: float
    usual_ms: float

    def objectives(self, population: Population) -> Objectives:
        """The objectives of repaired genomes."""
        population = population.trimmed()
        quality = self.predictor.quality(population)
        cost, path_ms = self.cost(population), self.critical_path_ms(population)
        worth = (
            self.weights.quality * quality
            - self.weights.cost * cost / self.usual_cost
            - self.weights.latency * path_ms / self.usual_ms
        )
        return Objectives(quality, cost, path_ms, worth)

    def cost(self, population: Population) -> Floats:
        """(size,): all slots at work."""
        total: Floats = self.space.step_cost.take(population.slots.T).sum(axis=0)
        return total

    def critical_path_ms(self, population: Population) -> Floats:
        """(size,): the slowest chain (Kelley and Walker 1959). Slots are already in order of execution."""
        ends_ms = self.space.step_ms.take(population.slots.T)
        linked_to = linked(population.links)
        first = 0
        for slot in range(1, len(ends_ms)):
            ends_ms[slot] += (ends_ms[:slot] * linked_to[first : first + slot]).max(axis=0)
            first += slot
        slowest: Floats = ends_ms.max(axis=0)
        return slowest


def problem_of(space: Space, predictor: Predictor, weights: Weights, goals: int) -> Problem:
    """The problem with units taken from the fleet: the median step, once for each goal.

    Of costs only those that are charged count: among free agents one that costs a cent is not infinitely dear.
    """
    charged = space.cost[space.cost > 0]
    cost, latency_ms = float(np.median(charged)) if len(charged) else 1.0, float(np.median(space.latency_ms))
    return Problem(space, predictor, weights, max(cost * goals, 1e-9), max(latency_ms * goals, 1e-9))

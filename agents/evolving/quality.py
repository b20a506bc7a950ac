"""How well a network would do the task, by its goals: the predictor that searches maximise. Asked by ``objectives``.

Each goal is solved by noisy-or of the agents at work (Pearl 1988): an agent solves it with the chance that its skill,
and those who hand over to it, give; a goal that builds on another needs an agent downstream of one who solved that.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from scipy.special import expit

from agents.evolving.genome import Population, link_matrix
from agents.evolving.space import Bools, Floats, Ints

UNPREPARED = 0.2
"""What is left of the chance to solve a goal when the goal it builds on is not solved upstream."""
CERTAIN = 1.0 - 1e-9


class Predictor(Protocol):
    """Predicts the quality of many networks at once. Must be a pure function of the genomes."""

    def quality(self, population: Population) -> Floats:
        """(size,) shares between 0 and 1. The genomes are repaired ones of the predictor's own space."""
        ...


@dataclass(frozen=True, slots=True)
class GoalQuality:
    """The weighted geometric mean of the chances that each goal is solved.

    ``skill`` is (offers, goals), ``handover`` (offers, offers) from row to column, both log-odds; ``importance`` is
    (goals,) and sums to 1; ``after`` is (goals,), the earlier goal each builds on, or -1.
    """

    skill: Floats
    handover: Floats
    importance: Floats
    after: Ints
    _chance: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if np.any(self.after >= np.arange(len(self.after))):
            raise ValueError("a goal may build only on an earlier one")
        # One more row for the empty slot: it solves nothing.
        nobody = np.full((1, self.skill.shape[1]), -np.inf)
        object.__setattr__(self, "_chance", np.concatenate((self.skill, nobody)))

    def quality(self, population: Population) -> Floats:
        """(size,) shares between 0 and 1."""
        missed = np.maximum(1.0 - np.minimum(self.solved(population), CERTAIN), 1e-12)
        solved = 1.0 - missed.prod(axis=1)
        quality: Floats = np.exp(np.log(np.maximum(solved, 1e-9)) @ self.importance)
        return quality

    def solved(self, population: Population) -> Floats:
        """(size, slots, goals): the chance that the slot solves the goal."""
        links = link_matrix(population)
        chance = self._alone(population, links)
        if (self.after < 0).all():
            return chance
        above = link_matrix(Population(population.slots, ancestors(population.links))).astype(np.float64)
        for goal, earlier in enumerate(self.after):
            if earlier >= 0:
                missed = np.log1p(-np.minimum(chance[:, :, earlier], CERTAIN))
                prepared = -np.expm1(np.einsum("pts,pt->ps", above, missed))
                chance[:, :, goal] *= UNPREPARED + (1.0 - UNPREPARED) * prepared
        return chance

    def _alone(self, population: Population, links: Bools) -> Floats:
        """(size, slots, goals): the chance by skill and handovers, whatever other goals are solved."""
        slots = population.slots
        pairs = slots[:, :, None] * len(self.handover) + slots[:, None, :]
        handed = np.einsum("pts,pts->ps", np.take(self.handover, pairs, mode="clip"), links)
        chance: Floats = expit(self._chance[slots] + handed[:, :, None])
        return chance


def ancestors(links: Ints) -> Ints:
    """(size, slots): for each slot the bits of all slots whose answers reach it, at once or through others."""
    reach = links.copy()
    for slot in range(1, links.shape[1] - 1):
        reach |= reach[:, slot, None] * (reach >> slot & 1)
    return reach

"""How well a network would do the task, by its goals: the predictor that searches maximise. Asked by ``objectives``.

Each goal is solved by noisy-or of the agents at work (Pearl 1988): an agent solves it with the chance that its skill,
and those who hand over to it, give; a goal that builds on another needs an agent downstream of one who solved that.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from agents.evolving.genome import Population, first_pairs, pairs
from agents.evolving.space import Floats, Ints

UNPREPARED = 0.2
"""What is left of the chance to solve a goal when the goal it builds on is not solved upstream."""
LOG_ODDS_MAX = 300.0
"""Beyond these a chance is 0 or 1 in any case; within them no product of two odds overflows."""


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
    _against: Floats = field(init=False, repr=False, compare=False)
    """(goals, offers + 1): the odds that each offer alone does not solve the goal; the empty slot solves nothing."""

    def __post_init__(self) -> None:
        if np.any(self.after >= np.arange(len(self.after))):
            raise ValueError("a goal may build only on an earlier one")
        nobody = np.full((len(self.after), 1), np.inf)
        object.__setattr__(self, "_against", np.concatenate((_odds_against(self.skill.T), nobody), axis=1))

    def quality(self, population: Population) -> Floats:
        """(size,) shares between 0 and 1."""
        solved = 1.0 - (1.0 - self._solved(population)).prod(axis=1)
        goals = np.log(np.maximum(solved, 1e-9)) * self.importance[:, None]
        quality: Floats = np.exp(goals.sum(axis=0))
        return quality

    def _solved(self, population: Population) -> Floats:
        """(goals, slots, size): the chance that the slot solves the goal."""
        chance = self._alone(population)
        if (self.after < 0).all():
            return chance
        above = linked(ancestors(population.links))
        for goal, earlier in enumerate(self.after):
            if earlier >= 0:
                chance[goal] *= UNPREPARED + (1.0 - UNPREPARED) * _prepared(above, chance[earlier])
        return chance

    def _alone(self, population: Population) -> Floats:
        """(goals, slots, size): the chance by skill and handovers, whatever other goals are solved."""
        slots = np.ascontiguousarray(population.slots.T)
        earlier, later = pairs(len(slots))
        ends = (slots * len(self.handover)).take(earlier, axis=0) + slots.take(later, axis=0)
        gains = self.handover.take(ends, mode="clip")
        gains *= linked(population.links)
        handed = np.zeros(slots.shape)
        if len(later):
            np.add.reduceat(gains, first_pairs(len(slots)), axis=0, out=handed[1:])
        against = self._against.take(slots, axis=1)
        against *= _odds_against(handed)
        against += 1.0
        chance: Floats = np.reciprocal(against, out=against)
        return chance


def _odds_against(log_odds: Floats) -> Floats:
    odds: Floats = np.exp(-np.clip(log_odds, -LOG_ODDS_MAX, LOG_ODDS_MAX))
    return odds


def _prepared(above: Floats, chance: Floats) -> Floats:
    """(slots, size): the chance that anybody above a slot has solved the goal."""
    earlier, later = pairs(len(chance))
    prepared = np.zeros_like(chance)
    if len(later):
        missed = 1.0 - above * chance.take(earlier, axis=0)
        np.subtract(1.0, np.multiply.reduceat(missed, first_pairs(len(chance)), axis=0), out=prepared[1:])
    return prepared


def linked(links: Ints) -> Floats:
    """(pairs, size): 1 where the earlier slot of the pair feeds the later one, by (size, slots) links."""
    earlier, later = pairs(links.shape[1])
    linked: Floats = (links.T.take(later, axis=0) >> earlier[:, None] & 1).astype(np.float64)
    return linked


def ancestors(links: Ints) -> Ints:
    """(size, slots): for each slot the bits of all slots whose answers reach it, at once or through others."""
    reach = links.T.copy()
    for slot in range(1, len(reach) - 1):
        later = reach[slot + 1 :]
        later |= (later >> slot & 1) * reach[slot]
    return reach.T

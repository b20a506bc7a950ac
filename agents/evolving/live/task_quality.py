"""How likely a network of the running gateway brings a task to success: what the search for better ones maximises.

Stricter than ``quality.GoalQuality``, whose tasks are made up: here an answer counts only when the task's own content
reached whoever gave it, when what it builds on was done upstream, and when it is part of the result: given by the sink,
handed to agents that collect, or read by a later goal. Every agent at work may fail, so more agents promise less.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from agents.evolving.genome import Population, link_matrix
from agents.evolving.quality import ancestors
from agents.evolving.space import Bools, Floats, Ints, Space

UNPREPARED = 0.1
"""What is left of the chance to solve a goal when the goal it builds on was not solved upstream."""
UNGROUNDED = 0.01
"""What is left when the task's content does not reach the agent: it would answer the words alone."""
LEAST = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class TaskQuality:
    """Implements ``quality.Predictor``. Arrays by offer of the space, then by goal.

    ``skill`` (offers, goals) and ``handover`` (offers, offers) are log odds; ``reliability`` and ``collects`` are
    (offers,); ``after`` (goals,) is the earlier goal or -1; ``content`` (goals,) are bits of the kinds that must reach
    its solver; ``consumed`` (goals,) says that a later goal reads the answer.
    """

    space: Space
    skill: Floats
    handover: Floats
    reliability: Floats
    collects: Bools
    after: Ints
    content: Ints
    consumed: Bools

    def quality(self, population: Population) -> Floats:
        """(size,) shares between 0 and 1."""
        solved = np.maximum(self._solved(population).max(axis=1), LEAST)
        steps = np.append(self.reliability, 1.0)[population.slots].prod(axis=1)
        quality: Floats = np.exp(np.log(solved).mean(axis=1)) * steps
        return quality

    def solvers(self, population: Population) -> Ints:
        """(size, goals): the slot that solves each goal best; one at work where nobody has any chance."""
        solved = np.where((population.slots >= 0)[:, :, None], self._solved(population), -1.0)
        solvers: Ints = solved.argmax(axis=1)
        return solvers

    def _solved(self, population: Population) -> Floats:
        """(size, slots, goals): the chance that the slot solves the goal and the answer becomes part of the result."""
        links = link_matrix(population)
        chance = self._alone(population, links)
        flow = self._flow(population)
        chance *= np.where((flow[:, :, None] & self.content) != 0, 1.0, UNGROUNDED)
        above = link_matrix(Population(population.slots, ancestors(population.links)))
        # Whoever does both goals in one step is prepared by itself.
        above |= np.eye(above.shape[1], dtype=np.bool_)
        for goal, earlier in enumerate(self.after):
            if earlier >= 0:
                prepared = (above * chance[:, :, earlier, None]).max(axis=1)
                chance[:, :, goal] *= UNPREPARED + (1.0 - UNPREPARED) * prepared
        delivered = self._delivered(population, links)
        result: Floats = chance * (delivered[:, :, None] | self.consumed)
        return result

    def _alone(self, population: Population, links: Bools) -> Floats:
        slots = population.slots
        nobody = np.full((1, self.skill.shape[1]), -np.inf)
        pairs = slots[:, :, None] * len(self.handover) + slots[:, None, :]
        handed = np.einsum("pts,pts->ps", np.take(self.handover, pairs, mode="clip"), links)
        chance: Floats = expit(np.concatenate((self.skill, nobody))[slots] + handed[:, :, None])
        return chance

    def _flow(self, population: Population) -> Ints:
        """(size, slots): bits of the task's content that reaches each slot, read by itself or handed on."""
        space, slots, links = self.space, population.slots, population.links
        at_work = slots >= 0
        inputs, requires, outputs = (
            np.where(at_work, kinds[slots], 0) for kinds in (space.inputs, space.requires, space.outputs)
        )
        content = int(np.bitwise_or.reduce(self.content))
        flow = np.zeros_like(slots)
        for slot in range(slots.shape[1]):
            fed, given = np.zeros(len(slots), dtype=np.int64), np.zeros(len(slots), dtype=np.int64)
            for source in range(slot):
                linked = links[:, slot] >> source & 1
                fed |= linked * flow[:, source]
                given |= linked * outputs[:, source]
            lacking = requires[:, slot] & ~given
            read = np.where(links[:, slot] != 0, lacking, inputs[:, slot]) & space.task & content
            flow[:, slot] = read | fed
        return flow

    def _delivered(self, population: Population, links: Bools) -> Bools:
        """(size, slots): whether the slot's answer is in the result: the sink's, or collected on the way there."""
        slots = population.slots
        read = links.any(axis=2)
        delivered: Bools = (slots >= 0) & ~read
        collecting = np.append(self.collects, False)[slots]
        for slot in range(slots.shape[1] - 2, -1, -1):
            delivered[:, slot] |= (links[:, slot, :] & collecting & delivered).any(axis=1)
        return delivered

"""The greedy network: the shortest type-correct chain, then one agent at a time, whoever raises the worth most.

Called by ``evaluation`` as a baseline; ``policy_gradient`` begins at the shortest chain.
"""

import numpy as np

from agents.evolving.genome import EMPTY, Population, repaired
from agents.evolving.neighbourhood import wider_by_one
from agents.evolving.objectives import Problem
from agents.evolving.random_search import found_in
from agents.evolving.searching import Found
from agents.evolving.space import Space


class GreedySearch:
    """Implements ``searching.NetworkSearch``. Knows no chance: ``seed`` changes nothing. Stops when nobody helps."""

    def search(self, problem: Problem, seeds: Population | None, evaluations: int, seed: int) -> Found:
        """The greedy network; of seeds given, the best is grown on instead of the shortest chain."""
        start = _started(problem, seeds)
        scores, spent, history = problem.objectives(start), len(start), list[float]()
        best = np.argmax(scores.worth, keepdims=True)
        here, scores = start.take(best), scores.rows(best)
        while spent < evaluations:
            wider = _spread(wider_by_one(problem.space, here), evaluations - spent)
            if not len(wider):
                break
            found = problem.objectives(wider)
            spent += len(wider)
            best = np.argmax(found.worth, keepdims=True)
            if found.worth[best[0]] <= scores.worth[0]:
                break
            here, scores = wider.take(best), found.rows(best)
            history.append(float(scores.worth[0]))
        return found_in(here, scores, spent, tuple(history))


def shortest(space: Space) -> Population:
    """One network: a chain, or a small tree, from the task to what is wanted with as few agents as were found."""
    made_by, order = _first_makers(space)
    ends = [offer for offer in order if not space.wanted or space.outputs[offer] & space.wanted]
    chosen: set[int] = set()
    waiting = ends[:1]
    while waiting:
        offer = waiting.pop()
        if offer not in chosen:
            chosen.add(offer)
            waiting += [made_by[kind] for kind in _missing(space, offer, order, made_by)]
    slots = np.full((1, space.slots), EMPTY, dtype=np.int64)
    kept = [offer for offer in order if offer in chosen][-space.slots :]
    slots[0, : len(kept)] = kept
    chain, _ = repaired(space, Population(slots, np.zeros_like(slots)))
    return chain


def _first_makers(space: Space) -> tuple[dict[int, int], list[int]]:
    """For each kind that the task lacks the offer that makes it first, and the offers in the order they can start."""
    have, made_by, order = space.task, dict[int, int](), list[int]()
    while True:
        ready = ((space.inputs & have) != 0) & ((space.requires & ~have) == 0)
        fresh = [int(offer) for offer in np.flatnonzero(ready) if offer not in order]
        if not fresh:
            return made_by, order
        order += fresh
        made = have
        for offer in fresh:
            new = int(space.outputs[offer]) & ~made
            made_by.update(dict.fromkeys(_split(new), offer))
            made |= new
        have = made


def _missing(space: Space, offer: int, order: list[int], made_by: dict[int, int]) -> list[int]:
    """Kinds that the offer needs from other agents: those it requires, or else the first of those it reads."""
    required = _split(int(space.requires[offer]) & ~space.task)
    if required or space.inputs[offer] & space.task:
        return required
    readable = [kind for kind in _split(int(space.inputs[offer])) if kind in made_by]
    return sorted(readable, key=lambda kind: order.index(made_by[kind]))[:1]


def _split(kinds: int) -> list[int]:
    return [1 << place for place in range(kinds.bit_length()) if kinds >> place & 1]


def _started(problem: Problem, seeds: Population | None) -> Population:
    """The seeds that are valid, or else the shortest chain."""
    if seeds is None:
        return shortest(problem.space)
    whole, alive = repaired(problem.space, seeds)
    valid = whole.take(alive)
    return valid if len(valid) else shortest(problem.space)


def _spread(population: Population, most: int) -> Population:
    """At most so many, from everywhere in the population: its order goes by place and by agent."""
    if len(population) <= most:
        return population
    return population.take(np.arange(most) * len(population) // most)

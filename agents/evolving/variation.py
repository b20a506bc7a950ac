"""New networks from old ones, a whole population at a time. Called by ``genetic`` through its toolbox.

Nothing here looks at types: the repair does. A child comes out packed, its slots at work first, in their order.
"""

from dataclasses import dataclass

import numpy as np

from agents.evolving.genome import EMPTY, Population, link_matrix, ordered
from agents.evolving.space import Bools, Floats, Ints

INSERT, REPLACE, REMOVE, MOVE = range(4)


@dataclass(frozen=True, slots=True)
class Rates:
    """``crossover`` is the share of children with two parents. Of all children a share has one agent inserted, one
    replaced, one removed, or one moved to another place in the order; all have links flipped, ``flips`` on average.
    """

    crossover: float = 0.6
    insert: float = 0.2
    replace: float = 0.2
    remove: float = 0.15
    move: float = 0.2
    flips: float = 1.0

    def shares(self) -> Floats:
        """The shares of the four changes of agents, in the order of their numbers, summed up."""
        shares: Floats = np.cumsum([self.insert, self.replace, self.remove, self.move])
        return shares


def crossed(mothers: Population, fathers: Population, rates: Rates, rng: np.random.Generator) -> Population:
    """Children of two parents, or of their mother alone.

    An agent that both parents have is kept, others by a coin; its place is about where its parent had it. Links among
    agents of one parent are inherited whole, so that what works together stays together whatever the slots.
    """
    width = mothers.slots.shape[1]
    rows = np.flatnonzero(rng.random(len(mothers)) < rates.crossover)
    mother, father = mothers.take(rows).trimmed(), fathers.take(rows).trimmed()
    shared = (mother.slots[:, :, None] == father.slots[:, None, :]) & (mother.slots[:, :, None] >= 0)
    slots = np.concatenate(
        (
            _by_coin(mother.slots, shared.any(axis=2), rng),
            _by_coin(np.where(shared.any(axis=1), EMPTY, father.slots), False, rng),
        ),
        axis=1,
    )
    key = np.concatenate((_places(mother.slots), _places(father.slots)), axis=1)
    child = ordered(slots, _links_of_both(mother, father, shared, rng), key + rng.normal(0.0, 0.02, key.shape))
    crossed_slots, crossed_links = mothers.slots.copy(), mothers.links.copy()
    inside = min(width, slots.shape[1])
    crossed_slots[rows], crossed_links[rows] = EMPTY, 0
    crossed_slots[rows, :inside] = child.slots[:, :inside]
    crossed_links[rows, :inside] = child.links[:, :inside]
    return Population(crossed_slots, crossed_links)


def _by_coin(slots: Ints, always: Bools | bool, rng: np.random.Generator) -> Ints:
    return np.where(always | (rng.random(slots.shape) < 0.5), slots, EMPTY)


def _places(slots: Ints) -> Floats:
    """Where in the order of its network each slot stands, 0 to 1."""
    count = np.maximum((slots >= 0).sum(axis=1, keepdims=True), 1)
    places: Floats = (np.cumsum(slots >= 0, axis=1) - 0.5) / count
    return places


def _links_of_both(mother: Population, father: Population, shared: Bools, rng: np.random.Generator) -> Bools:
    """Link matrices over the mother's slots, then the father's. A shared agent stands in the mother's slot.

    What one parent links and the other does not, between two agents that both have, is settled by a coin.
    """
    hers, his = link_matrix(mother), link_matrix(father).astype(np.float32)
    same = shared.astype(np.float32)
    his_to_her_slots = same @ his
    his_in_her_slots = (his_to_her_slots @ same.transpose(0, 2, 1)) > 0
    both: Bools = np.asarray(shared.any(axis=2))
    differing = both[:, :, None] & both[:, None, :] & (rng.random((len(hers), 1, 1)) < 0.5)
    top = np.concatenate((np.where(differing, his_in_her_slots, hers), his_to_her_slots > 0), axis=2)
    bottom = np.concatenate(((his @ same.transpose(0, 2, 1)) > 0, his > 0), axis=2)
    return np.concatenate((top, bottom), axis=1)


def mutated(population: Population, chances: Floats, rates: Rates, rng: np.random.Generator) -> Population:
    """Each network with at most one agent inserted, replaced, removed or moved, and some links flipped.

    ``chances`` is (offers,) and sums to 1: how likely each is to come in.
    """
    change = np.searchsorted(rates.shares(), rng.random(len(population)), side="right")
    work = _Mutation(population, rng)
    work.insert(np.flatnonzero((change == INSERT) & (work.count < population.slots.shape[1])), chances)
    work.replace(np.flatnonzero((change == REPLACE) & (work.count > 0)), chances)
    work.remove(np.flatnonzero((change == REMOVE) & (work.count > 1)))
    work.move(np.flatnonzero((change == MOVE) & (work.count > 1)))
    child = work.packed()
    return Population(child.slots, child.links ^ _flips(child, rates, rng))


class _Mutation:
    """Slots, the link matrix, and for each slot the key by which the child's slots are ordered."""

    def __init__(self, population: Population, rng: np.random.Generator) -> None:
        self._rng = rng
        self._slots = population.slots.copy()
        self._links = link_matrix(population)
        self._width = self._slots.shape[1]
        self._key = np.tile(np.arange(self._width, dtype=np.float64), (len(population), 1))
        at_work = self._slots >= 0
        self.count: Ints = at_work.sum(axis=1)
        # The slots of each row, those at work first: a random one of them is a random place in the first ``count``.
        self._order = np.argsort(~at_work, axis=1, kind="stable")

    def insert(self, rows: Ints, chances: Floats) -> None:
        """Someone new in an empty slot, anywhere in the order, wired at random."""
        slot = self._order[rows, self.count[rows]]
        self._slots[rows, slot] = self._rng.choice(len(chances), len(rows), p=chances)
        self._key[rows, slot] = self._anywhere(len(rows))
        self._links[rows, slot, :] = self._coins(len(rows))
        self._links[rows, :, slot] = self._coins(len(rows))

    def replace(self, rows: Ints, chances: Floats) -> None:
        """Someone else in the same place, wired the same."""
        self._slots[rows, self._someone(rows)] = self._rng.choice(len(chances), len(rows), p=chances)

    def remove(self, rows: Ints) -> None:
        """One fewer."""
        self._slots[rows, self._someone(rows)] = EMPTY

    def move(self, rows: Ints) -> None:
        """Someone earlier or later in the order; links that would lead backwards turn round."""
        slot = self._someone(rows)
        self._key[rows, slot] = self._anywhere(len(rows))
        both = self._links[rows, slot, :] | self._links[rows, :, slot]
        self._links[rows, slot, :] = both
        self._links[rows, :, slot] = both

    def packed(self) -> Population:
        """The child: slots at work in the order of their keys, then the empty ones."""
        return ordered(self._slots, self._links, self._key)

    def _someone(self, rows: Ints) -> Ints:
        chosen: Ints = self._order[rows, (self._rng.random(len(rows)) * self.count[rows]).astype(np.int64)]
        return chosen

    def _anywhere(self, size: int) -> Floats:
        return self._rng.integers(0, self._width + 1, size).astype(np.float64) - 0.5

    def _coins(self, size: int) -> Bools:
        return self._rng.random((size, self._width)) < 0.5


def _flips(population: Population, rates: Rates, rng: np.random.Generator) -> Ints:
    """Bits to flip: in each packed network a random number of links between slots at work."""
    count = (population.slots >= 0).sum(axis=1)
    rows = np.repeat(np.arange(len(population)), np.where(count > 1, rng.poisson(rates.flips, len(population)), 0))
    targets = 1 + (rng.random(len(rows)) * (count[rows] - 1)).astype(np.int64)
    sources = (rng.random(len(rows)) * targets).astype(np.int64)
    flips = np.zeros_like(population.links)
    np.bitwise_xor.at(flips, (rows, targets), np.left_shift(1, sources))
    return flips

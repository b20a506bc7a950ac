"""A whole population of networks as two arrays, and the repair that makes every one of them type-correct.

``slots`` says which offer works in which slot (-1: nobody); bit ``t`` of ``links[p, s]`` says that slot ``t`` feeds
slot ``s``. Only slots before ``s`` may feed it, so no genome has a cycle. ``repaired`` does the rest: links carry a
kind that both ends know, every slot has what it requires, and all answers flow into one sink that makes what is
wanted. Called by every search after it drew or varied genomes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.evolving.space import Bools, Floats, Ints, Space

EMPTY = -1


@dataclass(frozen=True, slots=True)
class Population:
    """(size, slots) int64 each: offers in slots, and for each slot the bits of the slots that feed it."""

    slots: Ints
    links: Ints

    def __len__(self) -> int:
        return len(self.slots)

    def take(self, rows: NDArray[np.intp] | Bools | slice) -> "Population":
        """Those networks, in that order."""
        return Population(self.slots[rows], self.links[rows])

    def trimmed(self) -> "Population":
        """The same networks without the last slots that are empty in all of them."""
        width = max(1, int(np.flatnonzero((self.slots >= 0).any(axis=0))[-1:].sum()) + 1)
        return Population(self.slots[:, :width], self.links[:, :width])

    def joined(self, other: "Population") -> "Population":
        """These networks, then the others."""
        return Population(np.concatenate((self.slots, other.slots)), np.concatenate((self.links, other.links)))


def link_matrix(population: Population) -> Bools:
    """(size, slots, slots): ``[p, t, s]`` says that slot ``t`` feeds slot ``s``."""
    width = population.slots.shape[1]
    matrix: Bools = (population.links[:, None, :] >> np.arange(width)[:, None]) & 1 != 0
    return matrix


def drawn(space: Space, size: int, rng: np.random.Generator) -> Population:
    """Random networks of random sizes, from chains to dense graphs, not yet repaired.

    Agents are drawn in an order in which each can be fed by the task or those before it: a blind permutation of agents
    that need one another would almost never survive the repair whole.
    """
    slots = np.full((size, space.slots), EMPTY, dtype=np.int64)
    have, last = np.full(size, space.task), np.zeros(size, dtype=np.int64)
    chaining = rng.integers(0, 3, (size, 1))
    noise = rng.gumbel(size=(size, len(space)))
    rows = np.arange(size)
    for slot in range(space.slots):
        ready = ((space.inputs & have[:, None]) != 0) & ((space.requires & ~have[:, None]) == 0)
        keen = noise + chaining * ((space.inputs & last[:, None]) != 0)
        chosen = np.where(ready, keen, -np.inf).argmax(axis=1)
        able = ready.any(axis=1)
        slots[:, slot] = np.where(able, chosen, EMPTY)
        noise[rows, chosen] = -np.inf
        last = np.where(able, space.outputs[chosen], 0)
        have |= last
    sizes = 1 + (space.slots * rng.random((size, 1)) ** 1.5).astype(np.int64)
    slots[np.arange(space.slots) >= sizes] = EMPTY
    return Population(slots, _wired(space.slots, size, rng))


def _wired(slots: int, size: int, rng: np.random.Generator) -> Ints:
    """Links at random: none but to the slot before, a quarter, half, or all, by network."""
    some, more = rng.integers(0, 1 << slots, (2, size, slots))
    before = np.left_shift(1, np.arange(slots, dtype=np.int64)) >> 1
    kind = rng.integers(0, 4, (size, 1))
    return np.select([kind == 0, kind == 1, kind == 2], [np.broadcast_to(before, some.shape), some & more, some], -1)


def ordered(slots: Ints, matrix: Bools, key: Floats) -> Population:
    """Packed networks: slots at work in the order of their keys, then the empty ones. Links that lead back are cut."""
    order = np.argsort(np.where(slots >= 0, key, np.inf), axis=1, kind="stable")
    rows = np.arange(len(order))[:, None]
    return Population(slots[rows, order], packed_bits(matrix[rows[:, :, None], order[:, :, None], order[:, None, :]]))


def packed_bits(matrix: Bools) -> Ints:
    """The ``links`` of a (size, slots, slots) link matrix; what leads back to an earlier slot is cut."""
    width = matrix.shape[1]
    forward = np.left_shift(1, np.arange(width, dtype=np.int64))[:, None] * ~np.tri(width, dtype=np.bool_)
    links: Ints = (matrix * forward).sum(axis=1)
    return links


def repaired(space: Space, population: Population) -> tuple[Population, Bools]:
    """The nearest type-correct networks, and which genomes have one: the rows of the others mean nothing.

    Cheap changes come first: links are added before slots are emptied. A repaired network is repaired as itself.
    """
    work = _Repair(space, population.trimmed())
    work.feed()
    alive = work.settle_sink()
    work.let_all_be_read()
    return work.population(population.slots.shape[1]), alive


class _Repair:
    """The arrays while they are being put right. Every step keeps what the steps before it achieved.

    ``_present`` has the bits of slots at work, ``_feeders`` for each slot the bits of all that could ever feed it. The
    costly steps run on rows that need them only.
    """

    def __init__(self, space: Space, population: Population) -> None:
        self._space = space
        self._slots = _without_repeats(population.slots)
        width = self._slots.shape[1]
        self._places = np.left_shift(1, np.arange(width, dtype=np.int64))
        at_work: Bools = self._slots >= 0
        self._present = self._bits(at_work)
        self._inputs = np.where(at_work, space.inputs[self._slots], 0)
        self._outputs = np.where(at_work, space.outputs[self._slots], 0)
        self._kinds = space.kinds_in_use
        self._makers = [self._bits((self._outputs & kind) != 0) for kind in self._kinds]
        self._feeders = self._all_feeders()
        self._links = population.links & self._feeders

    def _bits(self, flags: Bools) -> Ints:
        """(size,): the flags of each row as bits of one integer."""
        bits: Ints = np.asarray(flags @ self._places, dtype=np.int64)
        return bits

    def _all_feeders(self) -> Ints:
        feeders = np.zeros_like(self._inputs)
        for kind, makers in zip(self._kinds, self._makers, strict=True):
            feeders |= np.where((self._inputs & kind) != 0, makers[:, None], 0)
        earlier: Ints = feeders & (self._places - 1)
        return earlier

    def feed(self) -> None:
        """Slots that lack something are linked to all that could feed them; those that still lack it are emptied."""
        rows, slots = np.nonzero(self._needy())
        lacking = self._lacking(rows, slots)
        self._links[rows[lacking], slots[lacking]] = self._feeders[rows[lacking], slots[lacking]]
        while lacking.any():
            # Whoever read what an emptied slot made may lack it now, so the whole network is looked at again.
            touched = np.zeros(len(self._slots), dtype=np.bool_)
            touched[rows[lacking]] = True
            rows, slots = rows[touched[rows]], slots[touched[rows]]
            lacking = self._lacking(rows, slots)
            np.bitwise_and.at(self._present, rows[lacking], ~self._places[slots[lacking]])

    def settle_sink(self) -> Bools:
        """The last slot that makes what is wanted is the sink; later ones are emptied. Says which rows have a sink."""
        wanted = self._space.wanted or -1
        able = self._at_work(slice(None)) & ((self._outputs & wanted) != 0)
        last = able.shape[1] - 1 - np.argmax(able[:, ::-1], axis=1)
        self._sink = self._places[last]
        self._present &= 2 * self._sink - 1
        alive: Bools = able.any(axis=1)
        self._present[~alive] = 0
        return alive

    def let_all_be_read(self) -> None:
        """Answers that nobody reads are linked to the last slot that can read them; without one they are emptied."""
        rows = np.arange(len(self._slots))
        unread = self._unread(rows)
        rows, unread = rows[unread != 0], unread[unread != 0]
        while len(rows):
            feeders = np.where(self._at_work(rows), self._feeders[rows], 0)
            for slot in range(len(self._places) - 1, 0, -1):
                taken = feeders[:, slot] & unread
                self._links[rows, slot] |= taken
                unread &= ~taken
            rows, unread = rows[unread != 0], unread[unread != 0]
            self._present[rows] &= ~unread
            unread = self._unread(rows)
            rows, unread = rows[unread != 0], unread[unread != 0]

    def population(self, width: int) -> Population:
        """What the repair came to, with so many slots."""
        at_work = self._at_work(slice(None))
        slots = np.full((len(at_work), width), EMPTY, dtype=np.int64)
        links = np.zeros_like(slots)
        slots[:, : at_work.shape[1]] = np.where(at_work, self._slots, EMPTY)
        links[:, : at_work.shape[1]] = np.where(at_work, self._links & self._present[:, None], 0)
        return Population(slots, links)

    def _unread(self, rows: NDArray[np.intp]) -> Ints:
        read = np.bitwise_or.reduce(np.where(self._at_work(rows), self._links[rows], 0), axis=1)
        unread: Ints = self._present[rows] & ~read & ~self._sink[rows]
        return unread

    def _needy(self) -> Bools:
        """(size, slots): slots at work that the task alone cannot feed."""
        space = self._space
        needs = ((space.requires & ~space.task) != 0) | ((space.inputs & space.task) == 0)
        needy: Bools = needs[self._slots] & (self._slots >= 0)
        return needy

    def _lacking(self, rows: NDArray[np.intp], slots: NDArray[np.intp]) -> Bools:
        """Which of these slots have nothing that flows into them, or not all that they require."""
        present = self._present[rows]
        links = self._links[rows, slots] & present
        have = np.full_like(links, self._space.task)
        for kind, makers in zip(self._kinds, self._makers, strict=True):
            have |= kind * ((links & makers[rows]) != 0)
        offers = self._slots[rows, slots]
        lacking: Bools = ((self._space.requires[offers] & ~have) != 0) | ((self._space.inputs[offers] & have) == 0)
        here: Bools = lacking & ((present & self._places[slots]) != 0)
        return here

    def _at_work(self, rows: NDArray[np.intp] | slice) -> Bools:
        at_work: Bools = (self._present[rows, None] & self._places) != 0
        return at_work


def _without_repeats(slots: Ints) -> Ints:
    """Each offer works once in a network: in the first slot that holds it."""
    width = slots.shape[1]
    same = slots[:, :, None] == slots[:, None, :]
    earlier = np.tri(width, k=-1, dtype=np.bool_)
    return np.where((same & earlier).any(axis=2), EMPTY, slots)

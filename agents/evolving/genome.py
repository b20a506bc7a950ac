"""A whole population of networks as two arrays, and the repair that makes every one of them type-correct.

``slots`` says which offer works in which slot (-1: nobody); bit ``t`` of ``links[p, s]`` says that slot ``t`` feeds
slot ``s``. Only slots before ``s`` may feed it, so no genome has a cycle. ``repaired`` does the rest: links carry a
kind that both ends know, every slot has what it requires, and all answers flow into one sink that makes what is
wanted. Called by every search after it drew or varied genomes.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from agents.evolving.lanes import LANE, LANE_BITS, folded
from agents.evolving.space import Bools, Floats, Ints, Space

EMPTY = -1


@dataclass(frozen=True, slots=True)
class Population:
    """(size, slots) int64 each: offers in slots, and for each slot the bits of the slots that feed it.

    Populations come out laid out slot by slot, so that ``slots.T`` is contiguous: repair and scoring run along it.
    """

    slots: Ints
    links: Ints

    def __len__(self) -> int:
        return len(self.slots)

    def take(self, rows: NDArray[np.intp] | Bools | slice) -> "Population":
        """Those networks, in that order."""
        if isinstance(rows, slice):
            return Population(self.slots[rows], self.links[rows])
        rows = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        return Population(self.slots.T.take(rows, axis=1).T, self.links.T.take(rows, axis=1).T)

    def trimmed(self) -> "Population":
        """The same networks without the last slots that are empty in all of them."""
        width = max(1, int(np.flatnonzero((self.slots >= 0).any(axis=0))[-1:].sum()) + 1)
        return Population(self.slots[:, :width], self.links[:, :width])

    def joined(self, other: "Population") -> "Population":
        """These networks, then the others."""
        slots = np.concatenate((self.slots.T, other.slots.T), axis=1)
        return Population(slots.T, np.concatenate((self.links.T, other.links.T), axis=1).T)


@cache
def pairs(width: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Every two of so many slots: the earlier ones, and the later ones, these in order."""
    later, earlier = np.tril_indices(width, k=-1)
    return earlier, later


@cache
def first_pairs(width: int) -> NDArray[np.intp]:
    """Where among ``pairs`` those of each later slot begin, from the second slot on."""
    return np.cumsum(np.arange(width - 1))


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
    sizes = 1 + (space.slots * rng.random(size) ** 1.5).astype(np.int64)
    largest_first = np.argsort(-sizes, kind="stable")
    slots = np.full((space.slots, size), EMPTY, dtype=np.int64)
    have, last = np.full(size, space.task), np.zeros(size, dtype=np.int64)
    chaining = rng.integers(0, 3, size)
    noise = rng.gumbel(size=(len(space), size))
    inputs, requires = space.inputs[:, None], space.requires[:, None]
    going = np.searchsorted(-sizes[largest_first], -np.arange(space.slots))
    for slot, many in enumerate(going.tolist()):
        given = have[:many]
        ready = ((inputs & given) != 0) & ((requires & ~given) == 0)
        keen = noise[:, :many] + chaining[:many] * ((inputs & last[:many]) != 0)
        chosen = np.where(ready, keen, -np.inf).argmax(axis=0)
        able = ready.any(axis=0)
        slots[slot, :many] = np.where(able, chosen, EMPTY)
        noise[chosen, np.arange(many)] = -np.inf
        last[:many] = np.where(able, space.outputs[chosen], 0)
        given |= last[:many]
    drawn_slots = np.empty_like(slots)
    drawn_slots[:, largest_first] = slots
    return Population(drawn_slots.T, _wired(space.slots, size, rng))


def _wired(slots: int, size: int, rng: np.random.Generator) -> Ints:
    """Links at random: none but to the slot before, a quarter, half, or all, by network."""
    some, more = rng.integers(0, 1 << slots, (2, size, slots))
    before = np.left_shift(1, np.arange(slots, dtype=np.int64)) >> 1
    kind = rng.integers(0, 4, (size, 1))
    return np.select([kind == 0, kind == 1, kind == 2], [np.broadcast_to(before, some.shape), some & more, some], -1)


def ordered(slots: Ints, matrix: Bools, key: Floats) -> Population:
    """Packed networks: slots at work in the order of their keys, then the empty ones. Links that lead back are cut."""
    at_work = slots >= 0
    size, width = slots.shape
    most = int(at_work.sum(axis=1).max(initial=1))
    order = np.argsort(np.where(at_work, key, np.inf), axis=1, kind="stable")[:, :most]
    packed, links = np.full((size, width), EMPTY, dtype=np.int64), np.zeros((size, width), dtype=np.int64)
    rows = np.arange(size)[:, None] * width
    packed[:, :most] = slots.take(rows + order)
    links[:, :most] = packed_bits(matrix.take((rows + order)[:, :, None] * width + order[:, None, :]))
    return Population(packed, links)


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
    return work.population(space.slots), alive


class _Repair:
    """The arrays while they are being put right. Every step keeps what the steps before it achieved.

    They are (slots, size) or (size,), so that numpy runs along whole populations. ``_present`` has the bits of slots at
    work, ``_feeders`` for each slot the bits of all that could ever feed it, and ``_hungers`` the bits of those of whom
    one has to. The costly steps run on the networks that need them.
    """

    def __init__(self, space: Space, population: Population) -> None:
        lanes = space.lanes
        self._slots = _without_repeats(population.slots.T)
        self._places = np.left_shift(1, np.arange(len(self._slots), dtype=np.int64))[:, None]
        made = lanes.made(self._slots)
        self._present = made[0] & LANE
        self._answering = made[0] >> LANE_BITS & LANE
        self._feeders: Ints = folded(lanes.reads.take(self._slots, axis=1) & made[:, None]) & (self._places - 1)
        self._links: Ints = population.links.T & self._feeders
        hungers = [hunger.take(self._slots, axis=1) for hunger in lanes.hungers]
        self._hungers = [(hunger.any(axis=0), folded(hunger & made[:, None])) for hunger in hungers]

    def feed(self) -> None:
        """Slots that lack something are linked to all that could feed them; those that still lack it are emptied."""
        lacking = self._lacking(self._links, slice(None))
        np.copyto(self._links, self._feeders, where=lacking)
        rows = np.flatnonzero(lacking.any(axis=0))
        while len(rows):
            # Whoever read what an emptied slot made may lack it now, so the whole network is looked at again.
            present = self._present[rows]
            lacking = self._lacking(self._links.take(rows, axis=1) & present, rows)
            self._present[rows] = left = present & ~np.bitwise_or.reduce(lacking * self._places, axis=0)
            rows = rows[left != present]

    def _lacking(self, links: Ints, rows: NDArray[np.intp] | slice) -> Bools:
        """(slots, rows): which slots have nothing that flows into them, or not all that they require."""
        lacks = [hungry[:, rows] & ((links & givers[:, rows]) == 0) for hungry, givers in self._hungers]
        lacking: Bools = lacks[0] if len(lacks) == 1 else np.logical_or.reduce(lacks)
        return lacking

    def settle_sink(self) -> Bools:
        """The last slot that makes what is wanted is the sink; later ones are emptied. Says which rows have a sink."""
        up_to_sink = self._answering & self._present
        for step in (1, 2, 4, 8):
            up_to_sink |= up_to_sink >> step
        self._not_sink = ~up_to_sink | up_to_sink >> 1
        self._present &= up_to_sink
        self._links = self._at_work_only(self._links & self._present, self._present)
        alive: Bools = up_to_sink != 0
        return alive

    def let_all_be_read(self) -> None:
        """Answers that nobody reads are linked to the last slot that can read them; without one they are emptied."""
        rows = np.flatnonzero(self._unread(self._links, slice(None)))
        while len(rows):
            links = self._links.take(rows, axis=1)
            feeders = self._at_work_only(self._feeders.take(rows, axis=1), self._present[rows])
            unread = self._unread(links, rows)
            for slot in range(len(links) - 1, 0, -1):
                taken = feeders[slot] & unread
                links[slot] |= taken
                unread ^= taken
            self._present[rows] = present = self._present[rows] & ~unread
            self._links[:, rows] = links = self._at_work_only(links, present)
            rows = rows[self._unread(links, rows) != 0]

    def population(self, width: int) -> Population:
        """What the repair came to, with so many slots."""
        slots = np.full((width, len(self._present)), EMPTY, dtype=np.int64)
        links = np.zeros_like(slots)
        np.copyto(slots[: len(self._slots)], self._slots, where=(self._present & self._places) != 0)
        links[: len(self._slots)] = self._links
        return Population(slots.T, links.T)

    def _unread(self, links: Ints, rows: NDArray[np.intp] | slice) -> Ints:
        unread: Ints = self._present[rows] & self._not_sink[rows] & ~np.bitwise_or.reduce(links, axis=0)
        return unread

    def _at_work_only(self, links: Ints, present: Ints) -> Ints:
        """The links of those slots that are at work."""
        kept: Ints = links * ((present & self._places) != 0)
        return kept


def _without_repeats(slots: Ints) -> Ints:
    """(slots, size): each offer works once in a network: in the first slot that holds it."""
    earlier, later = pairs(len(slots))
    ones = slots.take(later, axis=0)
    same = (ones == slots.take(earlier, axis=0)) & (ones >= 0)
    if not same.any():
        return slots
    once = slots.copy()
    repeats, rows = np.nonzero(same)
    once[later[repeats], rows] = EMPTY
    return once

"""All networks one change away from one network: what climbing looks at. Called by ``greedy_search`` and ``genetic``.

A whole neighbourhood is one population, so that looking at hundreds of neighbours costs a few numpy calls. Changes that
the repair would undo are left out, and so are second ways to one network where that is told cheaply: with 12 agents
these are more than half of all.
"""

import numpy as np

from agents.evolving.changes import insertions, moves, swaps
from agents.evolving.genome import EMPTY, Population, first_pairs, pairs, repaired
from agents.evolving.objectives import Objectives, Problem
from agents.evolving.space import Bools, Ints, Space

STRANGERS = 16
"""How many agents who are not at work are tried in one look around: all of a large fleet would cost too much a step."""
ROUNDING = 1e-12
"""What is worth more by less than this is the same network in another spelling."""

Changed = tuple[Ints, Ints]
"""(width, many) slots and links, not yet repaired."""


def climbed(
    problem: Problem, start: Population, budget: int, rng: np.random.Generator, passed: set[bytes] | None = None
) -> tuple[Population, Objectives, int]:
    """From one network to a better neighbour, and on, until none is better or the budget of evaluations is spent.

    Gives back the last network with its objectives, and the evaluations spent. Who climbs again gives the same
    ``passed`` again: a climb ends where an earlier one came by.
    """
    passed = set() if passed is None else passed
    here, scores, spent = start, problem.objectives(start), 1
    strangers = rng.permutation(len(problem.space))
    while spent < budget:
        hood = Neighbourhood(problem.space, here)
        if hood.name in passed:
            break
        passed.add(hood.name)
        better, scored, looked = _better(problem, hood, float(scores.worth[0]), strangers, budget - spent)
        spent += scored
        if better is None:
            break
        here, scores = better
        strangers = np.roll(strangers, -looked)
    return here, scores, spent


def _better(
    problem: Problem, hood: "Neighbourhood", worth: float, strangers: Ints, budget: int
) -> tuple[tuple[Population, Objectives] | None, int, int]:
    """The best neighbour if it is worth more, how many were scored, and how many strangers were tried until then."""
    spent = 0
    for looked in range(0, len(strangers), STRANGERS):
        some = strangers[looked : looked + STRANGERS]
        around = hood.around(some, newcomers_only=looked > 0).take(slice(budget - spent))
        if not len(around):
            continue
        found = problem.objectives(around)
        spent += len(around)
        best = np.argmax(found.worth, keepdims=True)
        if found.worth[best[0]] > worth + ROUNDING:
            return (around.take(best), found.rows(best)), spent, looked + STRANGERS
    return None, spent, len(strangers)


def wider_by_one(space: Space, network: Population) -> Population:
    """Type-correct networks with one agent more."""
    hood = Neighbourhood(space, network)
    return _valid(space, [hood.inserted_anywhere(hood.idle(np.arange(len(space))))])


def _valid(space: Space, parts: list[Changed]) -> Population:
    slots = np.concatenate([slots for slots, _ in parts], axis=1)
    links = np.concatenate([links for _, links in parts], axis=1)
    whole, alive = repaired(space, Population(slots.T, links.T))
    return whole if alive.all() else whole.take(alive)


class Neighbourhood:
    """One network without gaps, and what comes of it by each kind of change.

    There is room for one agent more, where there may be one more. ``name`` is the same for all spellings of the
    network, and for no other one.
    """

    def __init__(self, space: Space, network: Population) -> None:
        self._space = space
        at_work = np.flatnonzero(network.slots[0] >= 0)
        self._count = len(at_work)
        self._width = min(self._count + 1, space.slots)
        self._slots = np.full(self._width, EMPTY, dtype=np.int64)
        self._links = np.zeros_like(self._slots)
        self._slots[: self._count] = network.slots[0, at_work]
        self._linked = network.links[0, at_work, None] >> at_work & 1
        self._links[: self._count] = self._linked @ np.left_shift(1, np.arange(self._count))
        by_offer = np.argsort(self._slots[: self._count])
        self.name = self._slots[by_offer].tobytes() + self._linked[by_offer[:, None], by_offer].tobytes()

    def around(self, strangers: Ints, *, newcomers_only: bool = False) -> Population:
        """Type-correct networks with one link or agent changed, one agent more or fewer, or two in another order.

        Only ``strangers`` may come in. ``newcomers_only`` leaves out those that nobody comes into.
        """
        unused = self.idle(strangers)
        parts = [self.replaced(unused), self.inserted_anywhere(unused)]
        if not newcomers_only:
            parts += [self.flipped(), self.without(), self.moved(), self.swapped()]
        return _valid(self._space, parts)

    def idle(self, strangers: Ints) -> Ints:
        """Those of them who are not at work."""
        idle = np.ones(len(self._space) + 1, dtype=np.bool_)
        idle[self._slots] = False
        return strangers[idle[strangers]]

    def _copies(self, many: int) -> Changed:
        return np.repeat(self._slots[:, None], many, axis=1), np.repeat(self._links[:, None], many, axis=1)

    def flipped(self) -> Changed:
        """One link more or fewer, of those that can carry anything."""
        sources, targets = pairs(self._count)
        flowing = self._space.outputs[self._slots[sources]] & self._space.inputs[self._slots[targets]]
        sources, targets = sources[flowing != 0], targets[flowing != 0]
        slots, links = self._copies(len(targets))
        links[targets, np.arange(len(targets))] ^= np.left_shift(1, sources)
        return slots, links

    def without(self) -> Changed:
        """One agent fewer: those who read its answer read what it read."""
        gone = np.arange(self._count if self._count > 1 else 0)
        slots, links = self._copies(len(gone))
        slots[gone, gone] = EMPTY
        return slots, links | (links >> gone & 1) * self._links[gone]

    def replaced(self, unused: Ints) -> Changed:
        """Someone else in the same place, wired the same."""
        place, who = np.nonzero(self._fitting(unused, 1))
        slots, links = self._copies(len(who))
        slots[place, np.arange(len(who))] = unused[who]
        return slots, links

    def moved(self) -> Changed:
        """One agent earlier or later, its links turned round where need be."""
        table = moves(self._count, self._width)
        matrix = np.zeros((self._width, self._width), dtype=np.int64)
        matrix[: self._count, : self._count] = self._linked | self._linked.T
        # To pass by someone last whom it has no link with, and neither is the sink, changes nothing.
        felt = np.flatnonzero(matrix[table.one, table.passed] | table.sink)
        links = np.zeros((self._width, len(felt)), dtype=np.int64)
        if links.size:
            bits = matrix.take(table.ends.take(felt, axis=1)) << pairs(self._width)[0][:, None]
            np.bitwise_or.reduceat(bits, first_pairs(self._width), axis=0, out=links[1:])
        return self._slots.take(table.order.take(felt, axis=1)), links

    def swapped(self) -> Changed:
        """Two agents change places in the wiring."""
        one, other = swaps(self._count)
        slots, links = self._copies(len(one))
        here = np.arange(len(one))
        slots[one, here], slots[other, here] = self._slots[other], self._slots[one]
        return slots, links

    def inserted_anywhere(self, unused: Ints) -> Changed:
        """Everybody who is not at work, at every place: between its neighbours only, or fed and read by all."""
        if self._count == self._width or not len(unused):
            return self._copies(0)
        table = insertions(self._count)
        way, who = np.nonzero(self._fitting(unused, 0)[table.place])
        places = np.left_shift(1, table.place)
        links = self._links.take(table.sources)
        links = (links & (places - 1)) | (links & -places) << 1 | table.reads
        slots = self._slots.take(table.sources.take(way, axis=1))
        slots[table.place[way], np.arange(len(way))] = unused[who]
        return slots, links.take(way, axis=1)

    def _fitting(self, unused: Ints, gone: int) -> Bools:
        """(places, unused): who could be fed in each place and read after it, if so many give way there."""
        space, at_work = self._space, self._slots[: self._count]
        have = np.bitwise_or.accumulate(np.append(space.task, space.outputs[at_work]))[: self._count + 1 - gone, None]
        read = np.bitwise_or.accumulate(space.inputs[at_work[::-1]])[::-1]
        read = np.append(read[gone:], space.wanted or -1)[:, None]
        fed = ((space.inputs[unused] & have) != 0) & ((space.requires[unused] & ~have) == 0)
        fitting: Bools = fed & ((space.outputs[unused] & read) != 0)
        return fitting

"""All networks one change away from one network: what climbing looks at. Called by ``greedy_search`` and ``genetic``.

A whole neighbourhood is one population, so that looking at hundreds of neighbours costs a few numpy calls.
"""

import numpy as np

from agents.evolving.genome import EMPTY, Population, link_matrix, ordered, repaired
from agents.evolving.objectives import Objectives, Problem
from agents.evolving.space import Bools, Ints, Space

OPENED = -2
"""Marks the slot that a newcomer will take, while neighbours are being made."""
STRANGERS = 16
"""How many agents who are not at work are tried in one look around: all of a large fleet would cost too much a step."""


def climbed(
    problem: Problem, start: Population, budget: int, rng: np.random.Generator
) -> tuple[Population, Objectives, int]:
    """From one network to a better neighbour, and on, until none is better or the budget of evaluations is spent.

    Gives back the last network with its objectives, and the evaluations spent.
    """
    here, scores, spent, looked = start, problem.objectives(start), 1, 0
    strangers = rng.permutation(len(problem.space))
    while spent < budget and looked < len(strangers):
        around = neighbours(problem.space, here, strangers[looked : looked + STRANGERS]).take(slice(budget - spent))
        looked += STRANGERS
        if not len(around):
            continue
        found = problem.objectives(around)
        spent += len(around)
        best = np.argmax(found.worth, keepdims=True)
        if found.worth[best[0]] > scores.worth[0]:
            here, scores = around.take(best), found.rows(best)
            strangers, looked = np.roll(strangers, -looked), 0
    return here, scores, spent


def neighbours(space: Space, network: Population, strangers: Ints) -> Population:
    """Type-correct networks with one link or agent changed, one agent more or fewer, or two in another order.

    Only ``strangers`` may come in.
    """
    slots, links = _packed(network)
    count = int((slots >= 0).sum())
    unused = np.setdiff1d(strangers, slots)
    parts = [
        _flipped(slots, links, count),
        _without(slots, links, count),
        _replaced(slots, links, count, unused),
        _reordered(slots, links, count),
        *_inserted_anywhere(slots, links, count, unused),
    ]
    return _valid(space, parts)


def wider_by_one(space: Space, network: Population) -> Population:
    """Type-correct networks with one agent more."""
    slots, links = _packed(network)
    unused = np.setdiff1d(np.arange(len(space)), slots)
    return _valid(space, _inserted_anywhere(slots, links, int((slots >= 0).sum()), unused))


def _valid(space: Space, parts: list[Population]) -> Population:
    none = np.zeros((0, space.slots), dtype=np.int64)
    everyone = Population(
        np.concatenate([none, *(part.slots for part in parts)]), np.concatenate([none, *(part.links for part in parts)])
    )
    whole, alive = repaired(space, everyone)
    return whole.take(alive)


def _packed(network: Population) -> tuple[Ints, Ints]:
    """Slots and links of the one network, without gaps."""
    places = np.arange(network.slots.shape[1], dtype=np.float64)[None, :]
    packed = ordered(network.slots, link_matrix(network), places)
    return packed.slots[0], packed.links[0]


def _copies(slots: Ints, links: Ints, many: int) -> Population:
    return Population(np.repeat(slots[None], many, axis=0), np.repeat(links[None], many, axis=0))


def _flipped(slots: Ints, links: Ints, count: int) -> Population:
    targets, sources = np.tril_indices(count, k=-1)
    flipped = _copies(slots, links, len(targets))
    flipped.links[np.arange(len(targets)), targets] ^= np.left_shift(1, sources)
    return flipped


def _without(slots: Ints, links: Ints, count: int) -> Population:
    """One agent fewer: those who read its answer read what it read."""
    fewer = _copies(slots, links, count if count > 1 else 0)
    for gone in range(len(fewer)):
        fewer.slots[gone, gone] = EMPTY
        fewer.links[gone] |= links[gone] * (links >> gone & 1)
    return fewer


def _replaced(slots: Ints, links: Ints, count: int, unused: Ints) -> Population:
    replaced = _copies(slots, links, count * len(unused))
    replaced.slots[np.arange(len(replaced)), np.repeat(np.arange(count), len(unused))] = np.tile(unused, count)
    return replaced


def _reordered(slots: Ints, links: Ints, count: int) -> Population:
    """One agent earlier or later, its links turned round where need be; and two that change places in the wiring."""
    one, place = (index.ravel() for index in np.indices((count, count + 1)))
    away = (place < one) | (place > one + 1)
    moved = _moved(slots, links, one[away], place[away])
    first, second = np.triu_indices(count, k=1)
    swapped = _copies(slots, links, len(first))
    rows = np.arange(len(first))
    swapped.slots[rows, first], swapped.slots[rows, second] = slots[second], slots[first]
    return moved.joined(swapped)


def _moved(slots: Ints, links: Ints, one: Ints, place: Ints) -> Population:
    copies = _copies(slots, links, len(one))
    rows = np.arange(len(one))
    key = np.repeat(np.arange(len(slots), dtype=np.float64)[None], len(one), axis=0)
    key[rows, one] = place - 0.5
    matrix: Bools = link_matrix(copies)
    both = matrix[rows, one, :] | matrix[rows, :, one]
    matrix[rows, one, :] = both
    matrix[rows, :, one] = both
    return ordered(copies.slots, matrix, key)


def _inserted_anywhere(slots: Ints, links: Ints, count: int, unused: Ints) -> list[Population]:
    """Everybody who is not at work, at every place: between its neighbours only, or fed and read by all."""
    if count == len(slots) or not len(unused):
        return []
    places = [(place, alone) for place in range(count + 1) for alone in (True, False)]
    rows = np.repeat(np.array([_opened(slots, place) for place, _ in places]), len(unused), axis=0)
    rows[rows == OPENED] = np.tile(unused, len(places))
    wired = [_rewired(links, place, count, alone=alone) for place, alone in places]
    return [Population(rows, np.repeat(np.array(wired), len(unused), axis=0))]


def _opened(slots: Ints, place: int) -> Ints:
    """The slots with one more at that place, for the newcomer."""
    return np.concatenate((slots[:place], [OPENED], slots[place:-1]))


def _rewired(links: Ints, place: int, count: int, *, alone: bool) -> Ints:
    """The links with a newcomer at that place."""
    low, here = (1 << place) - 1, 1 << place
    shifted = (links & low) | ((links & ~low) << 1)
    if alone:
        shifted[place] |= here
    else:
        shifted |= here
    wired = np.concatenate((links[:place], [(low + 1) >> 1 if alone else low], shifted[place:-1]))
    wired[count + 1 :] = 0
    return wired

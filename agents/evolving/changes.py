"""What changes of a network come to, slot by slot, whoever is at work: tables by the number of agents alone.

Read by ``neighbourhood``. A column of a table is one change; tables are kept, since a search asks for the same few
numbers of agents again and again.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from agents.evolving.genome import pairs
from agents.evolving.space import Bools, Ints


@dataclass(frozen=True, slots=True)
class Moves:
    """One agent goes to another place. (moves,) each: ``one`` is its slot, ``passed`` that of whom it passes by last,
    ``sink`` says whether either is the sink. ``order`` is (width, moves): who stands in each slot then; ``ends``
    (pairs, moves): for each pair of slots its two agents as one place in a flat (width, width) matrix.
    """

    one: Ints
    passed: Ints
    sink: Bools
    order: Ints
    ends: Ints


@dataclass(frozen=True, slots=True)
class Insertions:
    """A newcomer at every place, twice: between its neighbours only, then fed by all before it and read by all after.

    (insertions,) ``place``; (count + 1, insertions) each: ``sources`` says who stands in each slot, for the newcomer
    ``count``; ``reads`` has the bits of links that the newcomer brings.
    """

    place: Ints
    sources: Ints
    reads: Ints


@cache
def moves(count: int, width: int) -> Moves:
    """Each of ``count`` agents to every place but its own, and but the next: that is the next one's move back."""
    one, place = (index.ravel() for index in np.indices((count, count + 1)))
    away = (place < one) | (place > one + 2)
    one, place = one[away], place[away]
    passed = place - (place > one)
    key = np.repeat(np.arange(width, dtype=np.float64)[:, None], len(one), axis=1)
    key[one, np.arange(len(one))] = place - 0.5
    order = np.argsort(key, axis=0, kind="stable")
    earlier, later = pairs(width)
    return Moves(one, passed, np.maximum(one, passed) == count - 1, order, order[earlier] * width + order[later])


@cache
def insertions(count: int) -> Insertions:
    """A newcomer at each of ``count + 1`` places."""
    place, alone = np.repeat(np.arange(count + 1), 2), np.tile([True, False], count + 1)
    slot, here = np.arange(count + 1)[:, None], np.left_shift(1, place)
    readers = np.where(alone, slot == place + 1, slot > place)
    reads = np.where(slot == place, np.where(alone, here >> 1, here - 1), readers * here)
    return Insertions(place, np.where(slot == place, count, slot - (slot > place)), reads)


@cache
def swaps(count: int) -> tuple[Ints, Ints]:
    """Every two of ``count`` agents."""
    one, other = np.triu_indices(count, k=1)
    return one, other

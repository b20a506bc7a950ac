"""Kinds of content in lanes: which slots of a network make a kind, as bits of one integer, for four kinds at once.

A lane has a bit for each slot. So "who of this network could feed that slot" is a table read, an AND and a fold for a
whole population, however many kinds there are. Made once by ``space``; read by the repair in ``genome``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

LANE_BITS = 16
LANES = 4
LANE = (1 << LANE_BITS) - 1
AT_WORK, ANSWERING, KINDS = 0, 1, 2
"""Beside the kinds, from lane ``KINDS`` on, two lanes say which slots are at work and which make what is wanted."""


@dataclass(frozen=True, slots=True)
class Lanes:
    """What each offer does, by lane. The last of ``offers + 1`` columns is nobody's, and all zero.

    ``makes`` (words, offers + 1) has the lowest bit of each lane that the offer makes; ``reads`` all bits of each lane
    that it reads. A hunger is a set of kinds of which one has to come from other agents: ``hungers`` is (hungers,
    words, offers + 1), as many as the hungriest offer has.
    """

    makes: Ints
    reads: Ints
    hungers: Ints

    def made(self, slots: Ints) -> Ints:
        """(words, size): by lane the bits of the (slots, size) slots that make it."""
        places = np.arange(len(slots))[:, None]
        made: Ints = np.bitwise_or.reduce(self.makes.take(slots, axis=1) << places, axis=1)
        return made


def lanes_of(inputs: Ints, requires: Ints, outputs: Ints, task: int, wanted: int) -> Lanes:
    """The lanes of offers whose kinds are bits, (offers,) each. Only kinds that flow between two offers have a lane."""
    flowing = int(np.bitwise_or.reduce(inputs)) & int(np.bitwise_or.reduce(outputs))
    kinds = np.array([1 << place for place in range(flowing.bit_length()) if flowing >> place & 1], dtype=np.int64)
    everyone, nobody = np.ones((1, len(inputs)), dtype=np.bool_), np.zeros((KINDS, len(inputs)), dtype=np.bool_)
    makes, reads = (outputs & kinds[:, None]) != 0, (inputs & kinds[:, None]) != 0
    answers = (outputs & wanted)[None] != 0 if wanted else everyone
    needs, waits = (requires & ~task & kinds[:, None]) != 0, (inputs & task) == 0
    return Lanes(
        makes=_in_words(np.concatenate((everyone, answers, makes)), 1),
        reads=_in_words(np.concatenate((nobody, reads)), LANE),
        hungers=np.stack(
            [_in_words(np.concatenate((nobody, hunger)), LANE) for hunger in _hungers(reads, needs, waits)]
        ),
    )


def _hungers(reads: Bools, needs: Bools, waits: Bools) -> list[Bools]:
    """(kinds, offers) each: what an offer needs one by one; or all that it reads, if it needs nothing and waits."""
    order = np.cumsum(needs, axis=0) * needs
    first, *others = (order == count for count in range(1, max(1, int(order.max(initial=0))) + 1))
    return [first | (reads & waits & ~needs.any(axis=0)), *others]


def _in_words(flags: Bools, bits: int) -> Ints:
    """(words, offers + 1): these bits in each lane whose flag, of (lanes, offers), is up."""
    words = np.zeros((-(-len(flags) // LANES), flags.shape[1] + 1), dtype=np.int64)
    for lane, flag in enumerate(flags.astype(np.int64)):
        words[lane // LANES, :-1] |= (flag * bits) << LANE_BITS * (lane % LANES)
    return words


def folded(words: Ints) -> Ints:
    """All lanes of (words, …) over one another: the bits that are in any of them."""
    one: Ints = np.bitwise_or.reduce(words, axis=0)
    one |= one >> 2 * LANE_BITS
    one |= one >> LANE_BITS
    one &= LANE
    return one

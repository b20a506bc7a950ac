"""The fleet and the task as arrays: what every search over networks reads. Built once for each search.

Kinds of content are bits of one integer, so that "what flows from here to there" is one AND.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agents.errors import NoNetworkFits
from agents.evolving.lanes import Lanes, lanes_of
from agents.planning.offers import Kinds, Offer
from schemas.parts import Modality

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SLOTS_MAX = 16
"""As many agents as ``planning.greedy`` allows in one network."""
_BITS = {kind: 1 << place for place, kind in enumerate(Modality)}


@dataclass(frozen=True, slots=True)
class Space:
    """What networks may be made of. Arrays have one entry for each offer; kinds are bits.

    ``offers`` holds only skills that the task's content can reach and that can contribute to what is wanted;
    ``task`` always has the bit of text, for the words of the task; ``wanted`` 0 means that any answer will do.
    """

    offers: tuple[Offer, ...]
    inputs: Ints
    requires: Ints
    outputs: Ints
    cost: Floats
    latency_ms: Floats
    task: int
    wanted: int
    slots: int
    lanes: Lanes = field(init=False, repr=False, compare=False)
    """The kinds once more, as the repair reads them."""
    step_cost: Floats = field(init=False, repr=False, compare=False)
    step_ms: Floats = field(init=False, repr=False, compare=False)
    """(offers + 1,): cost and latency with one more entry, for nobody."""

    def __post_init__(self) -> None:
        lanes = lanes_of(self.inputs, self.requires, self.outputs, self.task, self.wanted)
        object.__setattr__(self, "lanes", lanes)
        object.__setattr__(self, "step_cost", np.append(self.cost, 0.0))
        object.__setattr__(self, "step_ms", np.append(self.latency_ms, 0.0))

    def __len__(self) -> int:
        return len(self.offers)

    def links_allowed(self) -> Bools:
        """(offers, offers): whether content can flow from the row's offer into the column's."""
        allowed: Bools = (self.outputs[:, None] & self.inputs[None, :]) != 0
        np.fill_diagonal(allowed, False)
        return allowed


def bits_of(kinds: Kinds) -> int:
    """The kinds as bits of one integer."""
    return sum(_BITS[kind] for kind in kinds)


def kinds_of(bits: int) -> Kinds:
    """The bits as kinds."""
    return frozenset(kind for kind, bit in _BITS.items() if bit & bits)


def space_of(
    offers: Sequence[Offer],
    latency_ms: Sequence[float],
    *,
    task: Kinds,
    wanted: Kinds = frozenset(),
    slots: int = SLOTS_MAX,
) -> Space:
    """The space of networks of these offers. Raises NoNetworkFits when no type-correct network exists."""
    space = Space(
        offers=tuple(offers),
        inputs=_as_bits([offer.inputs for offer in offers]),
        requires=_as_bits([offer.requires for offer in offers]),
        outputs=_as_bits([offer.outputs for offer in offers]),
        cost=np.array([offer.cost for offer in offers], dtype=np.float64),
        latency_ms=np.asarray(latency_ms, dtype=np.float64),
        task=bits_of(task | {Modality.TEXT}),
        wanted=bits_of(wanted),
        slots=min(slots, SLOTS_MAX, len(offers)),
    )
    useful = _useful(space) if len(space) else np.zeros(0, dtype=np.bool_)
    if not useful.any():
        raise NoNetworkFits(_why_none(space, wanted))
    return _only(space, useful)


def _as_bits(kinds: Sequence[Kinds]) -> Ints:
    return np.array([bits_of(some) for some in kinds], dtype=np.int64)


def _useful(space: Space) -> Bools:
    """Offers that can be fed from the task, through others if need be, and whose answers can reach what is wanted."""
    fed = _reachable(space)
    ends = fed & ((space.outputs & space.wanted) != 0) if space.wanted else fed
    allowed = space.links_allowed() & fed[:, None] & fed[None, :]
    useful = ends
    while True:
        wider = useful | (allowed & useful[None, :]).any(axis=1)
        if (wider == useful).all():
            return useful
        useful = wider


def _reachable(space: Space) -> Bools:
    have, fed = space.task, np.zeros(len(space), dtype=np.bool_)
    while True:
        now: Bools = ((space.inputs & have) != 0) & ((space.requires & ~have) == 0)
        if (now == fed).all():
            return fed
        fed = now
        have |= int(np.bitwise_or.reduce(space.outputs[fed]))


def _only(space: Space, kept: Bools) -> Space:
    return Space(
        offers=tuple(offer for offer, keep in zip(space.offers, kept, strict=True) if keep),
        inputs=space.inputs[kept],
        requires=space.requires[kept],
        outputs=space.outputs[kept],
        cost=space.cost[kept],
        latency_ms=space.latency_ms[kept],
        task=space.task,
        wanted=space.wanted,
        slots=min(space.slots, int(kept.sum())),
    )


def _why_none(space: Space, wanted: Kinds) -> str:
    given = ", ".join(kind.value for kind in Modality if _BITS[kind] & space.task)
    asked = ", ".join(kind.value for kind in Modality if kind in wanted) or "any answer"
    return (
        f"No chain of the {len(space)} eligible skills leads from what the task carries ({given}) to {asked}. "
        "Attach other content, ask for another kind of answer, or register an agent that converts it."
    )

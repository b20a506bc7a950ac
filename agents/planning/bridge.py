"""Bridges between kinds of content: which chain of agents turns what is there into what a skill reads.

Called by ``greedy`` when the best candidate cannot be fed: a picture reaches a summary through text recognition. The
search is Dijkstra's over the kinds of content (1959), at most ``MAX_HOPS`` agents long; a hop costs the less the
nearer the skill is to the conversion and the goal. Pure and deterministic: nearness is measured before, by the planner.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from agents.planning.offers import Kinds, Offer
from schemas.parts import Modality

MAX_HOPS = 3
HOP_COST = 0.3
"""Set against 1 - nearness: one agent that fits well is better than two that fit a little better."""

Conversion = tuple[Modality, Modality]
Steps = Mapping[Conversion, tuple[float, Offer]]
"""By conversion, the price of the skill that does it best, and that skill."""
Nearness = Callable[[Offer, str], float]
"""How well a skill fits some words, -1 to 1: the cosine of their vectors, or 0 where nothing is known."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One agent of a bridge: what it reads of what is there, and what it gives on."""

    offer: Offer
    reads: Modality
    gives: Modality


def phrase(conversion: Conversion) -> str:
    """The words for a conversion: the goal of the node that does it, and what skills are compared with."""
    source, target = conversion
    return _PHRASES.get(conversion, f"Convert this {source.value} to {target.value}")


def conversions(offer: Offer) -> tuple[Conversion, ...]:
    """Every conversion a skill can do. The words of the task reach it anyway, so that text it requires is there."""
    return _conversions(offer.inputs, offer.requires, offer.outputs)


@lru_cache(maxsize=4096)
def _conversions(inputs: Kinds, requires: Kinds, outputs: Kinds) -> tuple[Conversion, ...]:
    return tuple(
        (source, target)
        for source in Modality
        if source in inputs and requires <= {source, Modality.TEXT}
        for target in Modality
        if target in outputs and target != source
    )


def is_go_between(offer: Offer) -> bool:
    """Whether the skill may stand between others: it converts, or brings several kinds together, or writes them up."""
    return Modality.DOCUMENT in offer.outputs or len(offer.inputs) > 1 or bool(conversions(offer))


def bridge(have: Kinds, want: Kinds, steps: Steps) -> tuple[Hop, ...] | None:
    """The cheapest chain from any kind in ``have`` to any in ``want``; None when no chain of ``MAX_HOPS`` exists."""
    # Queue entries: cost, path of modality values (breaks ties), where the path stands, hops so far.
    queue: list[tuple[float, tuple[str, ...], Modality, tuple[Hop, ...]]] = [
        (0.0, (kind.value,), kind, ()) for kind in Modality if kind in have
    ]
    heapq.heapify(queue)
    while queue:
        cost, path, here, hops = heapq.heappop(queue)
        if here in want and hops:
            return hops
        if len(hops) == MAX_HOPS:
            continue
        for (source, target), (price, offer) in steps.items():
            if source == here and target.value not in path:
                entry = (cost + price, (*path, target.value), target, (*hops, Hop(offer, source, target)))
                heapq.heappush(queue, entry)
    return None


def cheapest_steps(offers: Iterable[Offer], nearness: Nearness) -> Steps:
    """The best skill for each conversion: all that ``bridge`` needs to know of a fleet."""
    best: dict[Conversion, tuple[float, Offer]] = {}
    for offer in offers:
        for conversion in conversions(offer):
            price = HOP_COST + 1.0 - nearness(offer, phrase(conversion))
            held = best.get(conversion)
            if held is None or (price, offer.cost, offer.key) < (held[0], held[1].cost, held[1].key):
                best[conversion] = (price, offer)
    return best


_TEXT, _IMAGE, _AUDIO = Modality.TEXT, Modality.IMAGE, Modality.AUDIO
_TABLE, _DOCUMENT, _DATA = Modality.TABLE, Modality.DOCUMENT, Modality.DATA

_PHRASES: dict[Conversion, str] = {
    (_IMAGE, _TEXT): "Read the text written in this picture (OCR)",
    (_IMAGE, _TABLE): "Read the table in this picture",
    (_IMAGE, _DATA): "Measure the facts of this picture: size, colours, format",
    (_AUDIO, _TEXT): "Write down what is said in this recording",
    (_AUDIO, _DATA): "Measure the facts of this recording: duration, loudness, pitch",
    (_DOCUMENT, _TEXT): "Extract the text of this document",
    (_DOCUMENT, _TABLE): "Extract the tables of this document",
    (_DOCUMENT, _IMAGE): "Render the pages of this document as pictures",
    (_TEXT, _TABLE): "Turn the figures in this text into a table",
    (_TEXT, _DATA): "Turn this text into structured data",
    (_TEXT, _DOCUMENT): "Write this text up as a document",
    (_TEXT, _AUDIO): "Read this text aloud",
    (_TABLE, _TEXT): "Describe this table in words",
    (_TABLE, _IMAGE): "Draw a chart of this table",
    (_TABLE, _DATA): "Turn this table into structured data",
    (_DATA, _TABLE): "Turn this structured data into a table",
    (_DATA, _TEXT): "Describe this structured data in words",
}

"""How near the fleet's skills are to some words, when bridges or joins are needed. Called by ``planner``.

Vectors of skills are kept, so that a fleet is encoded once; the kept are bounded.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import numpy as np

from agents.planning.bridge import conversions, is_go_between, phrase
from agents.planning.joining import COLLECT
from agents.planning.offers import Offer, OfferKey
from tensor_layer.ports import Vector

EncodeTexts = Callable[[Sequence[str]], Awaitable[Vector]]
"""Texts -> (count, dimension) float32, rows unit-norm."""

GOAL_SHARE = 0.3
"""How much of a conversion's nearness is nearness to the goal itself; the rest is nearness to the conversion."""


class Proximity:
    """Measures skills against conversions, goals and the wish for a report."""

    def __init__(self, encode_texts: EncodeTexts, capacity: int = 4096) -> None:
        self._encode = encode_texts
        self._capacity = capacity
        self._vectors: OrderedDict[str, Vector] = OrderedDict()
        self._encoding = asyncio.Lock()

    async def measure(self, offers: Iterable[Offer], goals: Vector) -> Mapping[tuple[OfferKey, str], float]:
        """Nearness by (skill, words) for every conversion the skills can do. ``goals``: (count, dimension)."""
        listed = [offer for offer in offers if is_go_between(offer)]
        if not listed:
            return {}
        wanted = {offer.key: _phrases(offer) for offer in listed}
        texts = list(dict.fromkeys(words for phrases in wanted.values() for words in phrases))
        vectors = await self._vectors_of([*texts, *(offer.words for offer in listed)])
        skills = np.stack([vectors[offer.words] for offer in listed])
        to_texts = dict(zip(texts, (skills @ np.stack([vectors[words] for words in texts]).T).T, strict=True))
        to_goal = (skills @ goals.T).max(axis=1) if len(goals) else np.zeros(len(listed))
        measured: dict[tuple[OfferKey, str], float] = {}
        for place, offer in enumerate(listed):
            for words in wanted[offer.key]:
                share = 0.0 if words == COLLECT or not len(goals) else GOAL_SHARE
                nearness = (1 - share) * to_texts[words][place] + share * to_goal[place]
                # A product's last digits depend on the row: equal skills must stay equal, so that the cheaper is taken.
                measured[offer.key, words] = round(float(nearness), 6)
        return measured

    async def _vectors_of(self, texts: Sequence[str]) -> dict[str, Vector]:
        if all(text in self._vectors for text in texts):
            return self._kept({text: self._vectors[text] for text in texts})
        # One at a time: tasks that come together ask for the same fleet.
        async with self._encoding:
            found = {text: self._vectors[text] for text in texts if text in self._vectors}
            missing = [text for text in dict.fromkeys(texts) if text not in found]
            if missing:
                found.update(zip(missing, await self._encode(missing), strict=True))
            return self._kept(found)

    def _kept(self, vectors: dict[str, Vector]) -> dict[str, Vector]:
        """The same, remembered; of a fleet larger than the capacity all that was asked for last."""
        for text, vector in vectors.items():
            self._vectors[text] = vector
            self._vectors.move_to_end(text)
        while len(self._vectors) > max(self._capacity, len(vectors)):
            self._vectors.popitem(last=False)
        return vectors


def _phrases(offer: Offer) -> tuple[str, ...]:
    return (*dict.fromkeys(phrase(conversion) for conversion in conversions(offer)), COLLECT)

"""Skills are encoded once, however large the fleet is and however many tasks are planned at a time."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from planning_fleet import card, encode, vector_of

from agents.planning.bridge import phrase
from agents.planning.joining import COLLECT
from agents.planning.nearness import GOAL_SHARE, Proximity
from agents.planning.offers import Offer, offers_of
from schemas.parts import Modality
from tensor_layer.ports import Vector

GOALS = vector_of("Read the picture").reshape(1, -1)


class Counting:
    """Encodes, slowly enough for others to ask meanwhile, and counts the texts."""

    def __init__(self) -> None:
        self.texts = 0

    async def __call__(self, texts: Sequence[str]) -> Vector:
        self.texts += len(texts)
        await asyncio.sleep(0)
        return await encode(texts)


def fleet(many: int) -> list[Offer]:
    cards = (card(f"agent-{place}", "read", f"Read picture {place}", "image", "text") for place in range(many))
    return list(offers_of(cards).values())


async def test_a_fleet_larger_than_what_is_kept_is_not_encoded_for_every_task() -> None:
    counting = Counting()
    proximity = Proximity(counting, capacity=8)
    first = await proximity.measure(fleet(30), GOALS)
    encoded = counting.texts
    assert await proximity.measure(fleet(30), GOALS) == first
    assert counting.texts == encoded


async def test_what_nobody_asks_for_any_more_makes_room() -> None:
    counting = Counting()
    proximity = Proximity(counting, capacity=8)
    await proximity.measure(fleet(30), GOALS)
    await proximity.measure(fleet(2), GOALS)
    encoded = counting.texts
    await proximity.measure(fleet(30), GOALS)
    assert counting.texts > encoded


async def test_tasks_planned_at_a_time_encode_the_fleet_once() -> None:
    one, burst = Counting(), Counting()
    await Proximity(one).measure(fleet(30), GOALS)
    proximity = Proximity(burst)
    measured = await asyncio.gather(*(proximity.measure(fleet(30), GOALS) for _ in range(10)))
    assert burst.texts == one.texts
    assert all(some == measured[0] for some in measured)


async def test_a_failure_to_encode_is_nobody_elses() -> None:
    broken = True

    async def sometimes(texts: Sequence[str]) -> Vector:
        if broken:
            raise ConnectionError
        return await encode(texts)

    proximity = Proximity(sometimes)
    failed = await asyncio.gather(proximity.measure(fleet(3), GOALS), return_exceptions=True)
    assert isinstance(failed[0], ConnectionError)
    broken = False
    assert all(np.isfinite(value) for value in (await proximity.measure(fleet(3), GOALS)).values())


async def test_what_the_goal_says_brings_a_conversion_nearer_and_a_report_never() -> None:
    offers = list(offers_of([card("scans", "read", "Read the text of this scan", "image", "text")]).values())
    conversion, aim = phrase((Modality.IMAGE, Modality.TEXT)), vector_of(offers[0].words).reshape(1, -1)
    aimless = await Proximity(encode).measure(offers, aim[:0])
    aimed = await Proximity(encode).measure(offers, aim)
    key = ("scans", "read")
    assert aimed[key, conversion] == pytest.approx((1 - GOAL_SHARE) * aimless[key, conversion] + GOAL_SHARE, abs=1e-5)
    assert aimed[key, COLLECT] == aimless[key, COLLECT]

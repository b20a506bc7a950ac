"""Missing conversions are found: short, near to what is wanted, and always the same."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from planning_fleet import CHART, EVERYONE, FACTS, OCR, PDF, SUMMARY, TABLE, card

from agents.planning.bridge import MAX_HOPS, bridge, cheapest_steps, phrase
from agents.planning.offers import Offer, offers_of
from schemas.card import AgentCard
from schemas.parts import Modality

TEXT, IMAGE, AUDIO, DOCUMENT = Modality.TEXT, Modality.IMAGE, Modality.AUDIO, Modality.DOCUMENT


def found(have: Modality, want: Modality, *cards: AgentCard, near: dict[str, float] | None = None) -> list[str] | None:
    def nearness(offer: Offer, _words: str) -> float:
        return (near or {}).get(offer.agent_id, 0.0)

    hops = bridge(frozenset({have}), frozenset({want}), cheapest_steps(offers_of(cards).values(), nearness))
    return None if hops is None else [hop.offer.agent_id for hop in hops]


def test_the_shortest_chain_is_taken() -> None:
    assert found(IMAGE, TEXT, *EVERYONE, near={"ocr": 0.7, "image-facts": 0.3}) == ["ocr"]
    assert found(IMAGE, Modality.TABLE, OCR, TABLE, SUMMARY) == ["ocr", "table"]
    assert found(DOCUMENT, IMAGE, PDF, TABLE, CHART) == ["pdf", "table", "chart"]


def test_of_two_that_convert_the_nearer_is_taken() -> None:
    assert found(IMAGE, TEXT, OCR, FACTS, near={"ocr": 0.7, "image-facts": 0.4}) == ["ocr"]
    assert found(IMAGE, TEXT, OCR, FACTS, near={"ocr": 0.4, "image-facts": 0.7}) == ["image-facts"]


def test_equals_are_told_apart_by_cost_and_then_by_name() -> None:
    assert found(IMAGE, TEXT, OCR, FACTS) == ["image-facts"]  # OCR costs 0.01 a call
    twins = [card(name, "go", "converts a picture", "image", "text") for name in ("b", "a")]
    assert found(IMAGE, TEXT, *twins) == ["a"]


def test_no_chain_is_longer_than_three() -> None:
    kinds = ["audio", "data", "table", "image", "document"]
    steps = [card(f"s{n}", "go", "converts one kind", a, b) for n, (a, b) in enumerate(itertools.pairwise(kinds))]
    assert found(AUDIO, IMAGE, *steps) == ["s0", "s1", "s2"]
    assert found(AUDIO, DOCUMENT, *steps) is None


def test_without_anyone_who_converts_there_is_no_bridge() -> None:
    assert found(AUDIO, TEXT, *EVERYONE) is None


def test_a_skill_that_requires_more_than_is_there_is_no_bridge() -> None:
    picky = card("picky", "go", "needs picture and sound", "image audio", "text", "image audio")
    assert found(IMAGE, TEXT, picky) is None


def test_every_conversion_has_words() -> None:
    assert phrase((IMAGE, TEXT)) == "Read the text written in this picture (OCR)"
    assert all(phrase((a, b)) for a in Modality for b in Modality if a != b)


KINDS = st.sets(st.sampled_from(Modality), min_size=1, max_size=3)


@given(st.lists(st.tuples(KINDS, KINDS), max_size=12), st.sampled_from(Modality), st.sampled_from(Modality))
def test_a_bridge_always_connects_and_is_never_too_long(
    skills: list[tuple[set[Modality], set[Modality]]], have: Modality, want: Modality
) -> None:
    offers = [Offer(f"a{n}", "s", frozenset(i), frozenset(), frozenset(o)) for n, (i, o) in enumerate(skills)]
    hops = bridge(frozenset({have}), frozenset({want}), cheapest_steps(offers, lambda _offer, _words: 0.0))
    if hops is None:
        return
    assert 1 <= len(hops) <= MAX_HOPS
    assert hops[0].reads == have
    assert hops[-1].gives == want
    assert all(hop.reads in hop.offer.inputs and hop.gives in hop.offer.outputs for hop in hops)
    assert all(before.gives == after.reads for before, after in itertools.pairwise(hops))

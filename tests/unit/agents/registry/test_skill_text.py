"""A skill's words, and their vectors, each made once."""

import asyncio
from collections.abc import Sequence

import numpy as np

from agents.registry.skill_text import TEXTS_PER_CALL, SkillVectors, mark_of, points_of, skill_text, texts_of
from schemas.card import AgentCard, Cost, NatsEndpoint, Skill
from schemas.parts import Modality
from tensor_layer.ports import Vector


class Counting:
    def __init__(self) -> None:
        self.calls: list[int] = []

    async def __call__(self, texts: Sequence[str]) -> Vector:
        self.calls.append(len(texts))
        return np.stack([np.full(4, len(text), np.float32) for text in texts])


def test_the_words_of_a_skill_are_its_agents_name_its_description_and_its_examples():
    words = {"description": "Read the text.", "examples": ("Read it",)}
    skill = Skill(id="read", inputs=(Modality.IMAGE,), outputs=(Modality.TEXT,), **words)
    about = {"description": "Reads pictures.", "name": "Reader"}
    card = AgentCard(id="ocr", version="1.0.0", skills=(skill,), endpoint=NatsEndpoint(), **about)
    assert skill_text(card, skill) == "Reader\nRead the text.\nRead it"
    assert skill_text(card.model_copy(update={"name": ""}), skill).startswith("ocr\n")


async def test_the_same_text_is_encoded_once():
    encode = Counting()
    vectors = SkillVectors(encode)
    assert list(await vectors.of(["a", "bb", "a"])) == ["a", "bb"]
    found = await vectors.of(["bb", "ccc"])
    assert found["bb"][0] == 2
    assert encode.calls == [2, 1]


async def test_many_texts_are_encoded_in_batches():
    encode = Counting()
    texts = [f"text {n}" for n in range(TEXTS_PER_CALL + 10)]
    assert len(await SkillVectors(encode).of(texts)) == len(texts)
    assert encode.calls == [TEXTS_PER_CALL, 10]


async def test_a_task_waits_for_no_more_than_one_call_while_a_fleet_is_taken_in():
    """The encoder answers in the order in which it is asked."""
    asked, turn = list[str](), asyncio.Lock()

    async def encode(texts: Sequence[str]) -> Vector:
        async with turn:
            await asyncio.sleep(0)
            asked.extend(texts)
            return np.stack([np.full(4, len(text), np.float32) for text in texts])

    filling = asyncio.create_task(SkillVectors(encode).of([f"skill {n}" for n in range(1_000)]))
    while not asked:
        await asyncio.sleep(0)
    before = len(asked)
    await encode(["a task's words"])
    assert asked.index("a task's words") - before <= 2 * TEXTS_PER_CALL <= 64
    await filling


async def test_memory_is_bounded_and_yet_every_answer_is_whole():
    encode = Counting()
    vectors = SkillVectors(encode, kept=2)
    assert len(await vectors.of(["a", "b", "c"])) == 3
    await vectors.of(["c"])
    await vectors.of(["a"])
    assert encode.calls == [3, 1]


def a_card(*examples: str, **more: object) -> AgentCard:
    skill = Skill(
        id="read", description="Reads texts.", examples=examples, inputs=(Modality.IMAGE,), outputs=(Modality.TEXT,)
    )
    values = {"id": "ocr", "version": "1.0.0", "description": "Reads pictures.", "skills": (skill,), **more}
    return AgentCard(endpoint=NatsEndpoint(), **values)  # type: ignore[arg-type]


async def test_a_card_becomes_a_point_for_each_skill_and_each_example_that_says_anything():
    card = a_card("Read it", "", "  ", "Read it", "What does it say?", tags=("gpu",), cost=Cost(per_call=0.5))
    points = points_of(card, await SkillVectors(Counting()).of(texts_of(card)))
    assert [point.example for point in points] == [None, 0, 4]
    assert [bool(point.words) for point in points] == [True, False, False]
    assert [point.vector[0] for point in points] == [len(text) for text in texts_of(card)]
    assert {(point.skill_id, point.inputs, point.tags, point.cost) for point in points} == {
        ("read", frozenset({Modality.IMAGE}), frozenset({"gpu"}), 0.5)
    }


def test_what_an_agent_needs_is_on_its_points():
    card = a_card(requires_modalities=(Modality.IMAGE,))
    [point] = points_of(card, {text: np.ones(4, np.float32) for text in texts_of(card)})
    assert point.needs == frozenset({Modality.IMAGE})


def test_a_mark_changes_with_what_is_indexed_and_with_nothing_else():
    card = a_card("Read it")
    assert mark_of(card) == mark_of(card.model_copy(update={"version": "2.0.0", "concurrency": 9, "owner": "me"}))
    changed = [a_card("Read that"), a_card("Read it", tags=("gpu",)), a_card("Read it", cost=Cost(per_call=1.0))]
    changed += [a_card("Read it", name="Reader"), a_card("Read it", requires_modalities=(Modality.IMAGE,))]
    assert len({mark_of(one) for one in (card, *changed)}) == 6

"""A skill's words, and their vectors, each made once."""

from collections.abc import Sequence

import numpy as np

from agents.registry.skill_text import TEXTS_PER_CALL, SkillVectors, skill_text
from schemas.card import AgentCard, NatsEndpoint, Skill
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


async def test_memory_is_bounded_and_yet_every_answer_is_whole():
    encode = Counting()
    vectors = SkillVectors(encode, kept=2)
    assert len(await vectors.of(["a", "b", "c"])) == 3
    await vectors.of(["c"])
    await vectors.of(["a"])
    assert encode.calls == [3, 1]

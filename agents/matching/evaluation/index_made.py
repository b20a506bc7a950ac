"""Made-up skills for measuring an index, and questions near them. Called by ``aos bench index`` and ``index_bench``.

Unit vectors in clusters of about 50, as cards of alike agents lie, with a few strong shared directions and noise; words
drawn as in texts, a few often and most seldom. Questions are skills, blurred.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agents.ports.skill_index import IndexFilter, SkillPoint
from schemas.parts import Modality
from tensor_layer.ports import Vector

DIMENSION = 384
CLUSTER_SKILLS = 50
SHARED_DIRECTIONS = 48
SKILLS_PER_AGENT = 5
WORDS_PER_SKILL, WORDS_PER_QUESTION = 12, 8
VOCABULARY = 200_000
TENANT = "bench"


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """``vectors`` (skills, 384) and ``questions`` (count, 384) float32, rows unit-norm; texts beside both."""

    vectors: Vector
    questions: Vector
    words: Callable[[int], str]
    asked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Narrowing:
    """A filter, and which agents, by their numbers, meet it."""

    where: IndexFilter
    meets: Callable[[NDArray[np.int64]], NDArray[np.bool_]]

    def allowed(self, skills: int) -> NDArray[np.bool_]:
        """``(skills,)``: which skills meet it."""
        return self.meets(np.arange(skills) // SKILLS_PER_AGENT)


_SEVENTH = frozenset({"t7"})
EVERYONE = Narrowing(IndexFilter(TENANT), lambda agents: np.ones(len(agents), dtype=np.bool_))
NARROWINGS = {
    "half": Narrowing(IndexFilter(TENANT, cost_max=0.5), lambda agents: agents % 100 <= 50),
    "third": Narrowing(IndexFilter(TENANT, cost_max=0.3), lambda agents: agents % 100 <= 30),
    "ninth": Narrowing(IndexFilter(TENANT, cost_max=0.1), lambda agents: agents % 100 <= 10),
    "tenth": Narrowing(IndexFilter(TENANT, tags=_SEVENTH), lambda agents: agents % 10 == 7),
    "twentieth": Narrowing(
        IndexFilter(TENANT, tags=_SEVENTH, alive_only=True, cost_max=0.5),
        lambda agents: (agents % 10 == 7) & (agents % 100 <= 50),
    ),
    "hundredth": Narrowing(IndexFilter(TENANT, tags=_SEVENTH, cost_max=0.1), lambda agents: agents % 100 == 7),
}
"""Filters by the share of agents that meet them: three by cost, one by tag, two by tag and cost, the first of which by
health too."""


def make(skills: int, seed: int, questions: int) -> Made:
    """The same skills for the same seed."""
    chance = np.random.default_rng(seed)
    centres = unit(chance.standard_normal((max(1, skills // CLUSTER_SKILLS), DIMENSION), dtype=np.float32))
    shared = chance.standard_normal((SHARED_DIRECTIONS, DIMENSION), dtype=np.float32)
    shared *= np.float32(0.7 / np.sqrt(DIMENSION * SHARED_DIRECTIONS))
    vectors = centres[chance.integers(0, len(centres), skills)]
    for start in range(0, skills, 100_000):
        part = vectors[start : start + 100_000]
        part += chance.standard_normal((len(part), SHARED_DIRECTIONS), dtype=np.float32) @ shared
        part += _noise(chance, len(part), 0.3)
    blurred = unit(vectors[chance.integers(0, skills, questions)]) + _noise(chance, questions, 0.5)
    asked = tuple(_text(np.random.default_rng((seed, 1, n)), WORDS_PER_QUESTION) for n in range(questions))
    return Made(
        unit(vectors), unit(blurred), lambda n: _text(np.random.default_rng((seed, 0, n)), WORDS_PER_SKILL), asked
    )


def points_of(made: Made, agent: int) -> list[SkillPoint]:
    """One agent's points: one of ten tags, one of a hundred costs below 1."""
    first = agent * SKILLS_PER_AGENT
    about = {"inputs": frozenset({Modality.TEXT}), "tags": frozenset({f"t{agent % 10}"}), "cost": (agent % 100) / 100}
    return [
        SkillPoint(TENANT, f"a{agent}", f"s{n}", made.vectors[n], words=made.words(n), **about)  # type: ignore[arg-type]
        for n in range(first, min(first + SKILLS_PER_AGENT, len(made.vectors)))
    ]


def unit(rows: Vector) -> Vector:
    """The rows themselves, made unit-norm in place."""
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _noise(chance: np.random.Generator, rows: int, length: float) -> Vector:
    noise: Vector = chance.standard_normal((rows, DIMENSION), dtype=np.float32)
    noise *= np.float32(length / np.sqrt(DIMENSION))
    return noise


def _text(chance: np.random.Generator, words: int) -> str:
    return " ".join(f"w{number}" for number in chance.zipf(1.3, words) % VOCABULARY)

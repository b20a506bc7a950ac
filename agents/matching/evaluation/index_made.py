"""Made-up skills for measuring an index, and questions near them. Called by ``aos bench index`` and ``index_bench``.

Unit vectors in clusters of about 50, as cards of alike agents lie, with a few strong shared directions and noise; words
drawn as in texts, a few often and most seldom. Questions are skills, blurred.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from agents.ports import SkillPoint
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

"""How a skill lies in an index: its ids, its payload, and hits put together. Called by both skill index adapters."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from agents.ports.skill_index import EXAMPLE_WEIGHT, SkillPoint
from tensor_layer.ports import Vector

WORDS = "words"
"""The name of the sparse vector; the dense one has none."""

KEYWORDS = ("tenant", "agent", "skill", "tags", "inputs", "needs", "health")
"""Payload fields that searches compare with words; each has a payload index. ``cost`` has another.

``health`` is a word too: a truth value took qdrant-edge 0.9.0 47 ms to filter 20,000 points by, a word 0.5 ms."""

GRAPHED_KEYWORDS = frozenset({"tenant", "tags"})
"""Fields whose values get extra edges in the graph of vectors, so that a search filtered by them stays exact enough.
The others are either one agent's few points, which are compared one by one, or nearly everybody's."""

ANSWERED = ["tenant", "agent", "skill", "example", "examples"]
"""Payload fields that a search returns."""

POINTS_PER_SKILL = 4
"""So many points are asked for to find one skill, which may be near by several of its examples."""

DEAD = "dead"

_NAMESPACE = uuid.UUID("2b0c7a52-6a3e-5d0a-9d43-4a6f6a6f51c9")


def point_id(tenant: str, agent_id: str, skill_id: str, example: int | None = None) -> str:
    """The same skill is the same point, whichever worker writes it."""
    name = f"{tenant}\x00{agent_id}\x00{skill_id}"
    return str(uuid.uuid5(_NAMESPACE, name if example is None else f"{name}\x00{example}"))


def id_of(point: SkillPoint) -> str:
    """The id of a point."""
    return point_id(point.tenant, point.agent_id, point.skill_id, point.example)


def payloads_of(points: Sequence[SkillPoint], *, dead: bool, mark: str) -> list[dict[str, Any]]:
    """What is stored beside each of one agent's vectors."""
    examples: dict[str, int] = {}
    for point in points:
        if point.example is not None:
            examples[point.skill_id] = max(examples.get(point.skill_id, 0), point.example + 1)
    return [
        {
            "tenant": point.tenant,
            "agent": point.agent_id,
            "skill": point.skill_id,
            "example": -1 if point.example is None else point.example,
            "examples": examples.get(point.skill_id, 0),
            "inputs": sorted(point.inputs),
            "tags": sorted(point.tags),
            "needs": sorted(point.needs),
            "cost": point.cost,
            **health_of(dead=dead),
            "mark": mark,
        }
        for point in points
    ]


def health_of(*, dead: bool) -> dict[str, str]:
    """What is stored of an agent's health."""
    return {"health": DEAD if dead else "alive"}


@dataclass(slots=True)
class Found:
    """One skill on its way out of an index, by what is known of it so far; None is not known."""

    payload: Mapping[str, Any]
    own: float | None = None
    nearest: float | None = None
    example: int | None = None
    bm25: float | None = None

    def see(self, example: int, similarity: float) -> None:
        """One of its points was compared."""
        if example < 0:
            self.own = similarity
        elif self.nearest is None or similarity > self.nearest:
            self.nearest, self.example = similarity, example

    @property
    def unseen(self) -> list[str]:
        """Its points that no answer told of and that decide its score."""
        about = self.payload["tenant"], self.payload["agent"], self.payload["skill"]
        own = [point_id(*about)] if self.own is None else []
        examples = range(self.payload["examples"]) if self.nearest is None else range(0)
        return [*own, *(point_id(*about, example) for example in examples)]

    @property
    def likeness(self) -> float | None:
        """How near it is by meaning, all its vectors considered; None when none of them was found any more."""
        if self.own is None or self.nearest is None:
            return self.nearest if self.own is None else self.own
        return (1.0 - EXAMPLE_WEIGHT) * self.own + EXAMPLE_WEIGHT * self.nearest


class Gathered:
    """The skills of several answers of an engine, each once."""

    def __init__(self) -> None:
        self.skills: dict[tuple[str, str], Found] = {}

    def near(self, answer: Iterable[tuple[Mapping[str, Any], float]]) -> None:
        """Add payloads with their cosines."""
        for payload, similarity in answer:
            self._of(payload).see(payload["example"], similarity)

    def worded(self, answer: Iterable[tuple[Mapping[str, Any], float]]) -> None:
        """Add payloads with their BM25 scores."""
        for payload, score in answer:
            self._of(payload).bm25 = score

    def unseen(self) -> list[str]:
        """Points to compare by meaning, of skills that words found, or of which only one kind of vector was near."""
        return [i for found in self.skills.values() for i in found.unseen]

    def unworded(self) -> list[str]:
        """Points to compare by words, of skills that only their meaning found."""
        about = (found.payload for found in self.skills.values() if found.bm25 is None)
        return [point_id(payload["tenant"], payload["agent"], payload["skill"]) for payload in about]

    def _of(self, payload: Mapping[str, Any]) -> Found:
        key = payload["agent"], payload["skill"]
        found = self.skills.get(key)
        if found is None:
            found = self.skills[key] = Found(payload)
        return found


def checked(vector: Vector, dimension: int) -> Vector:
    """The vector, when it is (dimension,) float32, finite and not zero. Raises ValueError."""
    if vector.shape != (dimension,) or vector.dtype != np.float32:
        raise ValueError(f"a skill vector is ({dimension},) float32; got {vector.shape} {vector.dtype}")
    length = float(np.dot(vector, vector))
    if not 0.0 < length < float("inf"):
        raise ValueError("a skill vector has finite values and is not zero")
    return vector

"""How a skill lies in an index: its id, its payload, and the order of hits. Called by both skill index adapters."""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from agents.ports import SkillHit, SkillPoint
from tensor_layer.ports import Vector

KEYWORDS = ("tenant", "agent", "tags")
"""Payload fields that searches filter by; each has a payload index."""

_NAMESPACE = uuid.UUID("2b0c7a52-6a3e-5d0a-9d43-4a6f6a6f51c9")


def point_id(point: SkillPoint) -> str:
    """The same skill is the same point, whichever worker writes it."""
    return str(uuid.uuid5(_NAMESPACE, f"{point.tenant}\x00{point.agent_id}\x00{point.skill_id}"))


def payload_of(point: SkillPoint) -> dict[str, Any]:
    """What is stored beside the vector."""
    return {
        "tenant": point.tenant,
        "agent": point.agent_id,
        "skill": point.skill_id,
        "inputs": sorted(point.inputs),
        "tags": sorted(point.tags),
    }


def hit_of(payload: Mapping[str, Any], similarity: float) -> SkillHit:
    """A stored point, found."""
    return SkillHit(payload["agent"], payload["skill"], float(similarity))


def best_first(hits: Iterable[SkillHit]) -> list[SkillHit]:
    """Nearest first; equal similarities in the order of agent and skill id, so that every run answers alike."""
    return sorted(hits, key=lambda hit: (-round(hit.similarity, 6), hit.agent_id, hit.skill_id))


def checked(vector: Vector, dimension: int) -> Vector:
    """The vector, when it is (dimension,) float32, finite and not zero. Raises ValueError."""
    if vector.shape != (dimension,) or vector.dtype != np.float32:
        raise ValueError(f"a skill vector is ({dimension},) float32; got {vector.shape} {vector.dtype}")
    length = float(np.dot(vector, vector))
    if not 0.0 < length < float("inf"):
        raise ValueError("a skill vector has finite values and is not zero")
    return vector

"""Routing rules: what people, or a policy in their name, made of patterns. Visible, reversible, few.

They lie in the bucket ``aos_policy`` under ``<tenant>.rules``, all in one record, written with compare-and-set. A rule
carries everything that it takes to apply it, so that workers need nothing but this record.
"""

from enum import StrEnum

from pydantic import Field

from schemas.base import Message, Moment, Token, new_id, now
from schemas.parts import Modality

MOST_RULES = 200


class RuleEffect(StrEnum):
    """What a rule does with its agents."""

    EXCLUDE = "exclude"
    PREFER = "prefer"


class TaskKind(Message):
    """A kind of task by its centre among task vectors: what is at least ``reach`` similar (cosine) is of this kind."""

    name: int
    centre: str = Field(description="unit-norm, little-endian float32, base64")
    reach: float = Field(ge=-1, le=1)


class RoutingRule(Message):
    """Where all of its conditions hold, its agents are excluded or preferred. A task's own pin is stronger."""

    rule_id: Token = Field(default_factory=new_id)
    effect: RuleEffect
    agents: tuple[Token, ...] = Field(min_length=1, max_length=32)
    modalities: tuple[Modality, ...] = Field(default=(), description="all of which the task must carry")
    kind: TaskKind | None = Field(default=None, description="the kind that the task must be of; none: any")
    statement: str = Field(default="", max_length=600, description="why, in words: told by explain")
    pattern_id: Token | None = Field(default=None, description="the pattern it was made from")
    automatic: bool = Field(default=False, description="made by the mining policy and not by a person")
    at: Moment = Field(default_factory=now)
    actor: str = Field(default="", max_length=200)


class RoutingRules(Message):
    """All rules of a tenant."""

    tenant: Token
    rules: tuple[RoutingRule, ...] = Field(default=(), max_length=MOST_RULES)

"""What keeps happening: patterns mined from experience, each of which may be turned into a routing rule."""

from enum import StrEnum

from pydantic import Field

from schemas.base import Message, Moment, Share, Token, now
from schemas.routing_rule import TaskKind


class PatternKind(StrEnum):
    """What sort of regularity it is."""

    KIND = "kind"
    RULE = "rule"
    DRIFT = "drift"


class SynthesizedPattern(Message):
    """One regularity with its evidence. Mined again from the same window it has the same id."""

    pattern_id: Token
    tenant: Token
    kind: PatternKind
    statement: str = Field(max_length=500, description="in words, for people")
    antecedent: tuple[str, ...] = Field(default=(), description="items such as 'agent=ocr' that go together")
    consequent: str = Field(default="", description="the outcome that follows, such as 'outcome=failure'")
    support: int = Field(ge=0, description="how many tasks show it")
    support_share: Share = Field(description="support over the tasks of the window")
    confidence: Share | None = Field(default=None, description="how often the outcome follows")
    lift: float | None = Field(default=None, ge=0, description="confidence over the outcome's share among all tasks")
    low: float | None = Field(default=None, description="lower end of the 95 % interval of the confidence or change")
    high: float | None = None
    error_rate: Share | None = Field(default=None, description="p-value after correction for everything that was tried")
    examples: tuple[Token, ...] = Field(default=(), max_length=10, description="task ids")
    since: Moment
    until: Moment
    mined_at: Moment = Field(default_factory=now)
    miner: str = Field(default="", description="which version of which method found it")
    task_kind: TaskKind | None = Field(default=None, description="the kind of task that the antecedent names")

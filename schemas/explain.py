"""A dry run: who would be chosen for a task and why, without doing it."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from schemas.base import Message
from schemas.candidate import MatchReport
from schemas.network import Plan
from schemas.parts import Modality
from schemas.percept import Percept
from schemas.task import StageTimes, TaskFailure, TaskSubmitted


class ExplainRequest(Message):
    """Asks a worker what it would do: ``aos.service.explain``."""

    task: TaskSubmitted


class Explanation(Message):
    """What the worker would do."""

    percept: Percept | None = None
    matches: tuple[MatchReport, ...] = ()
    plan: Plan | None = None
    drawing: str = Field(default="", description="the network as text")
    policy_problem: str = Field(
        default="", description="why the policy that should be in force is not; the last good one decided"
    )
    failure: TaskFailure | None = None
    times: StageTimes = StageTimes()


def _with_a_word(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty; say in words what is wanted")
    return text


Sought = Annotated[str, Field(min_length=1, max_length=20_000), AfterValidator(_with_a_word)]
"""What is looked for, in words."""


class SearchFilter(Message):
    """Whom a search may find at all. What is left out does not filter."""

    tags: tuple[str, ...] = Field(default=(), description="all of them are on the card", examples=[["offline"]])
    without_tags: tuple[str, ...] = Field(default=(), description="none of them is")
    reads: tuple[Modality, ...] = Field(default=(), description="the skill reads at least one of them")
    max_cost: float | None = Field(default=None, ge=0, allow_inf_nan=False, description="of a call, inclusive")

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        both = [tag for tag in self.tags if tag in self.without_tags]
        if both:
            raise ValueError(f"tags are both required and excluded: {', '.join(both)}; no agent could be found")
        return self


class SearchRequest(Message):
    """Asks a worker for the agents nearest to some words: ``aos.service.search``."""

    tenant: str = "default"
    text: Sought
    limit: int = Field(default=10, ge=1, le=200)
    diverse: bool = Field(default=False, description="agents that are good and not all alike, the best still first")
    where: SearchFilter = SearchFilter()


class SearchReply(Message):
    """The agents found, best first."""

    report: MatchReport

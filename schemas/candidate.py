"""Who could do the task: an agent's skill with its scores and the reasons for them."""

from pydantic import Field

from schemas.base import Message, Share


class Counted(Message):
    """A past task that counted for or against an agent."""

    task_id: str
    outcome: Share = Field(description="1 when the agent succeeded, 0 when it failed")
    weight: float = Field(ge=0, description="how much it counts now: 1 for the same words, just done")


class Candidate(Message):
    """One agent's best skill for the task, ranked."""

    agent_id: str
    skill_id: str
    score: float = Field(description="what the ranker orders by")
    scores: dict[str, float] = Field(
        default_factory=dict, description="by kind: 'dense' cosine, 'words' in common, 'learned' chance of success"
    )
    probability: Share = Field(default=0.0, description="the propensity with which it was chosen first; sums to 1")
    reasons: tuple[str, ...] = ()
    features: dict[str, float] = Field(
        default_factory=dict, description="what the learned policy saw of it, by name; told by explain only"
    )
    contributions: dict[str, float] = Field(
        default_factory=dict, description="each feature times its weight, in log odds of success; told by explain only"
    )
    counted: tuple[Counted, ...] = Field(default=(), description="past tasks that counted; told by explain only")


class Excluded(Message):
    """An agent that was not eligible, and why: said by explain, so that nobody has to guess."""

    agent_id: str
    reason: str


class MatchReport(Message):
    """Everything matching decided about one goal."""

    goal: str = ""
    candidates: tuple[Candidate, ...] = ()
    excluded: tuple[Excluded, ...] = ()
    abstained: bool = False
    threshold: float = 0.0
    doubt: Share | None = Field(default=None, description="calibrated chance that nobody can do it")
    policy: str = Field(default="cosine-1", description="version of the ranking policy")

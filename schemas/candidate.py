"""Who could do the task: an agent's skill with its scores and the reasons for them."""

from pydantic import Field

from schemas.base import Message, Share


class Candidate(Message):
    """One agent's best skill for the task, ranked."""

    agent_id: str
    skill_id: str
    score: float = Field(description="what the ranker orders by")
    scores: dict[str, float] = Field(
        default_factory=dict, description="by kind: 'dense' cosine, later 'lexical', 'learned' …"
    )
    probability: Share = Field(default=0.0, description="the propensity with which it was chosen first; sums to 1")
    reasons: tuple[str, ...] = ()


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
    policy: str = Field(default="cosine-1", description="version of the ranking policy")

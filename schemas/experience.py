"""What happened, once: the record every finished or failed task leaves behind, and what people say of it."""

from pydantic import Field

from schemas.base import Message, Moment, Share, Token, new_id, now
from schemas.candidate import Candidate
from schemas.network import Network, PlanEstimate
from schemas.parts import Modality
from schemas.task import APPROVAL_DENIED, BUDGET_EXCEEDED, DEADLINE_EXCEEDED, StageTimes, StepOutcome, TaskState


class ExperienceRecord(Message):
    """One task's outcome with what it takes to learn from it: who was eligible, chosen, with what probability."""

    record_id: Token = Field(description="one for each ending of a task: its id and the message that owned it")
    task_id: Token
    tenant: Token
    at: Moment = Field(default_factory=now)
    state: TaskState
    success: bool
    instruction: str = Field(default="", description="the task's words, shortened")
    modalities: tuple[Modality, ...] = ()
    vector: str | None = Field(default=None, description="the task vector, little-endian float32, base64")
    vector_version: str | None = None
    candidates: tuple[Candidate, ...] = ()
    chosen: tuple[str, ...] = Field(default=(), description="agent ids of the network, in order of execution")
    propensity: Share = 1.0
    policy: str = "cosine-1"
    exploratory: bool = False
    network: Network | None = None
    planner: str = Field(default="", description="who made the network; empty: none was made")
    kind: str | None = Field(default=None, description="the kind of task whose network it is")
    estimate: PlanEstimate | None = Field(default=None, description="what was expected, beside what happened")
    steps: tuple[StepOutcome, ...] = ()
    times: StageTimes = StageTimes()
    latency_ms: float = Field(
        ge=0, description="from submission to the end, without the time that people took to decide"
    )
    cost: float = Field(ge=0)
    failure_code: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)

    @property
    def untried(self) -> bool:
        """Whether no agent did anything: a person's no, the budget, or the deadline came before the first step."""
        return not self.steps and self.failure_code in (APPROVAL_DENIED, BUDGET_EXCEEDED, DEADLINE_EXCEEDED)


class Feedback(Message):
    """What a person or program says of a task's result, joined to its record by task id."""

    feedback_id: Token = Field(default_factory=new_id)
    task_id: Token
    tenant: Token = "default"
    at: Moment = Field(default_factory=now)
    score: float | None = Field(default=None, ge=0, le=1)
    thumbs_up: bool | None = None
    comment: str = Field(default="", max_length=20_000)
    actor: str = Field(default="", max_length=200)

    @property
    def judgement(self) -> float | None:
        """What it says of the result, 0 to 1, the score before the thumb; None for words alone."""
        if self.score is not None:
            return self.score
        return None if self.thumbs_up is None else float(self.thumbs_up)

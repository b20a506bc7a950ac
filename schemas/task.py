"""A task's life: what is submitted, what is remembered of it, and the events along the way."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Self

from pydantic import Field, model_validator

from schemas.base import Message, Moment, Token, new_id, now
from schemas.candidate import Candidate
from schemas.control import Remark
from schemas.invocation import INPUT_REQUIRED
from schemas.network import Plan
from schemas.parts import Part
from schemas.percept import Percept


class Priority(StrEnum):
    """Which lane of the work queue a task waits in."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class RoutingHints(Message):
    """What a client may say about who should do the task. Eligibility comes before similarity."""

    required_capabilities: tuple[str, ...] = Field(default=(), description="tags that every chosen agent must carry")
    pin: tuple[Token, ...] = Field(default=(), description="agents that must do the task, in order")
    exclude: tuple[Token, ...] = Field(default=(), description="agents that must not be chosen")
    prefer: tuple[Token, ...] = Field(default=(), description="agents to choose first where they are good enough")


class TaskSubmitted(Message):
    """What a client wants done. Published to the work queue; its id is the idempotency key."""

    task_id: Token = Field(default_factory=new_id)
    tenant: Token = "default"
    priority: Priority = Priority.NORMAL
    parts: tuple[Part, ...] = Field(min_length=1, max_length=64)
    routing: RoutingHints = RoutingHints()
    requires_approval: bool = False
    deadline_s: float = Field(
        default=300.0, gt=0, le=7 * 86400, description="seconds of work allowed, waiting for approval excluded"
    )
    max_cost: float | None = Field(default=None, ge=0, description="budget in the fleet's cost unit")
    submitted_at: Moment = Field(default_factory=now)
    labels: dict[str, str] = Field(default_factory=dict, max_length=32)

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        if all(part.text is not None and not part.text.strip() for part in self.parts):
            raise ValueError("the task is empty: give it some text or an attachment")
        return self

    def instruction(self) -> str:
        """The words of the task: its inline text parts, joined."""
        return "\n".join(part.text for part in self.parts if part.text is not None)


class TaskState(StrEnum):
    """Where a task stands. The last four are terminal."""

    QUEUED = "queued"
    RUNNING = "running"
    AWAITING_APPROVAL = "awaiting_approval"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def terminal(self) -> bool:
        """Whether nothing more will happen to the task."""
        return self in _TERMINAL


_TERMINAL = frozenset({TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.REJECTED})


class TaskFailure(Message):
    """Why a task did not succeed, in words its sender can act on."""

    code: str = Field(examples=["no_agent_fits", "step_failed", "input_required", "deadline_exceeded"])
    message: str
    step_id: str | None = None
    agent_id: str | None = None
    retryable: bool = False


class StageTimes(Message):
    """How long each stage took, in milliseconds."""

    queued_ms: float = 0.0
    perceive_ms: float = 0.0
    match_ms: float = 0.0
    plan_ms: float = 0.0
    run_ms: float = 0.0
    approval_ms: float = Field(default=0.0, description="until people had decided; no part of what a task took")


class StepOutcome(Message):
    """One step as it happened."""

    step_id: str
    node: str
    agent_id: str
    skill_id: str
    attempts: int = Field(ge=0)
    latency_ms: float = Field(ge=0)
    cost: float = Field(ge=0)
    ok: bool
    error: str | None = None
    error_code: str | None = Field(
        default=None, description="the agent's own word for its error, or the gateway's; see InvocationError.code"
    )


APPROVAL_DENIED, BUDGET_EXCEEDED = "approval_denied", "budget_exceeded"
"""Codes of failures that no agent is to blame for: a person said no, or the task's sender allows no more cost."""
DEADLINE_EXCEEDED = "deadline_exceeded"
"""Nor for this one, where no step tells of an agent that was asked and had most of the time."""


def counted(steps: Sequence[StepOutcome]) -> tuple[StepOutcome, ...]:
    """The steps of one task that say something of their agents.

    An agent that says that the task lacks something is believed, unless somebody then did its step without.
    """
    done = {step.node for step in steps if step.ok}
    return tuple(step for step in steps if step.error_code != INPUT_REQUIRED or step.node in done)


class TaskResult(Message):
    """What came out of a task: the final parts, every step, times and cost."""

    outputs: tuple[Part, ...] = ()
    steps: tuple[StepOutcome, ...] = ()
    times: StageTimes = StageTimes()
    cost: float = 0.0


class ApprovalState(StrEnum):
    """What people have said about a task that asks for approval."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"


class TaskRecord(Message):
    """What is remembered of a task: the value under its key in the ``aos_tasks`` bucket."""

    task_id: Token
    tenant: Token
    state: TaskState
    priority: Priority = Priority.NORMAL
    stream_seq: int | None = Field(
        default=None, description="work-queue message that owns the task; any other is a duplicate"
    )
    request_digest: str | None = Field(
        default=None, description="of the body that came with an Idempotency-Key: the key with another body is refused"
    )
    worker_id: str | None = None
    deliveries: int = 0
    given_back: int = Field(
        default=0,
        description="deliveries that went back because a worker stopped in good order, or what it needs did not "
        "answer: no failed tries",
    )
    submitted_at: Moment = Field(default_factory=now)
    updated_at: Moment = Field(default_factory=now)
    title: str = Field(default="", max_length=200, description="the first words of the task, for lists")
    percept: Percept | None = None
    candidates: tuple[Candidate, ...] = ()
    policy: str = Field(default="cosine-1", description="version of the ranking policy that chose")
    exploratory: bool = Field(default=False, description="another agent than the best known was put first, to learn")
    plan: Plan | None = None
    result: TaskResult | None = None
    failure: TaskFailure | None = None
    cancel_requested: bool = False
    submission: TaskSubmitted | None = Field(
        default=None,
        description="kept while the task waits, to resume it; and after its end where its experience does not hold all "
        "that was asked (attachments, long words), so that it can be done again",
    )
    approvals: dict[str, ApprovalState] = Field(default_factory=dict, description="by node of the network, or 'task'")
    awaiting_since: Moment | None = Field(default=None, description="since when people are asked to decide")
    awaited_ms: float = Field(default=0.0, ge=0, description="how long people took to decide, all in all")
    remarks: tuple[Remark, ...] = Field(default=(), description="what people said to the task: who, what and why")


class TaskEventKind(StrEnum):
    """The moments of a task's life that anyone may follow."""

    ACCEPTED = "accepted"
    STARTED = "started"
    RESUMED = "resumed"
    PERCEIVED = "perceived"
    MATCHED = "matched"
    PLANNED = "planned"
    STEP_STARTED = "step_started"
    STEP_RETRIED = "step_retried"
    STEP_FINISHED = "step_finished"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    DEAD = "dead"

    @property
    def terminal(self) -> bool:
        """Whether this event ends the task."""
        return self.value in {state.value for state in _TERMINAL}


class TaskEvent(Message):
    """One moment of a task's life, published to ``aos.<t>.task.event.<task>``."""

    task_id: Token
    tenant: Token
    kind: TaskEventKind
    at: Moment = Field(default_factory=now)
    worker_id: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)


class DeadTask(Message):
    """Work that was given up, with its reason and everything needed to try again."""

    task_id: str
    tenant: str
    reason: str
    code: str
    attempts: int = 0
    subject: str = ""
    payload: str = Field(description="the original message, base64")
    content_type: str = Field(default="application/json", description="how the original message is written")
    at: Moment = Field(default_factory=now)

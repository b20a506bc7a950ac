"""The wire protocol between a worker and an agent: one JSON request, one JSON reply.

An agent in any language subscribes to ``aos.<tenant>.agent.<id>.invoke`` in the queue group ``agents``,
reads an ``Invocation`` and replies with an ``InvocationReply``. The same bodies travel over HTTP.
``step_id`` is the idempotency key: an agent with side effects does them once per step id.
"""

from typing import Any, Self

from pydantic import Field, model_validator

from schemas.base import Message, Moment, Price, Token
from schemas.parts import Part

INPUT_REQUIRED = "input_required"
"""The reserved code of an error that is not the agent's: the task lacks something, and its message says what.

As the task state ``input-required`` of A2A, but final: what is lacking comes with another task.
"""


class Invocation(Message):
    """One step's request to an agent."""

    step_id: str = Field(description="stable across retries and workers: <task>.<node>")
    task_id: Token
    tenant: Token
    agent_id: Token
    skill_id: Token
    goal: str = Field(description="what is asked, in words")
    inputs: tuple[Part, ...]
    attempt: int = Field(default=1, ge=1)
    deadline: Moment


class InvocationError(Message):
    """Why the agent could not do it."""

    code: str = Field(
        default="failed",
        description="a word of the agent's own; 'input_required' is reserved: the task lacks something (an attachment, "
        "a table in the text), the message says what, and nobody could do it as it is",
    )
    message: str
    retryable: bool = False


class InvocationReply(Message):
    """An agent's answer. Either ``outputs`` or ``error``."""

    step_id: str
    outputs: tuple[Part, ...] = ()
    error: InvocationError | None = None
    cost: Price | None = Field(default=None, description="when the agent knows better than its card")
    usage: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _answers_or_fails(self) -> Self:
        if self.error is None and not self.outputs:
            raise ValueError("a reply carries at least one output part, or an error")
        return self

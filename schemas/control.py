"""What a person or client may say to a task that is already under way."""

from enum import StrEnum

from pydantic import Field

from schemas.base import Message, Moment, Token, now


class ControlAction(StrEnum):
    """The verbs of the control subject."""

    CANCEL = "cancel"
    APPROVE = "approve"
    DENY = "deny"


class Remark(Message):
    """What a person said to a task, as its record keeps it."""

    action: ControlAction
    node: str | None = None
    actor: str = Field(default="", max_length=200)
    reason: str = Field(default="", max_length=2000)
    at: Moment = Field(default_factory=now)


class ControlMessage(Message):
    """Published to ``aos.<t>.task.control.<task>``."""

    task_id: Token
    tenant: Token = "default"
    action: ControlAction
    node: str | None = Field(default=None, description="the step an approval is for; None means every one that waits")
    reason: str = Field(default="", max_length=2000)
    actor: str = Field(default="", max_length=200)
    at: Moment = Field(default_factory=now)

"""What a newcomer answered when it was asked past tasks, without effect for anybody: kept apart from experience."""

from pydantic import Field

from schemas.base import Message, Moment, Token, new_id, now
from schemas.experience import ExperienceRecord

PREFIX = "audition-"
AUDITION_OF = "audition_of"
"""The label of a record of an audition that names the task that was asked again."""


def audition_id() -> str:
    """The id of one past task asked again in an audition; nobody's task has one like it."""
    return f"{PREFIX}{new_id()}"


def is_audition(task_id: str) -> bool:
    """Whether this was asked in an audition."""
    return task_id.startswith(PREFIX)


class Audition(Message):
    """One agent's, as far as it has come. Its records are like those of tasks, but no client ever asked for them."""

    tenant: Token
    agent_id: Token
    began: Moment = Field(default_factory=now)
    wanted: int = Field(ge=1, description="how many past tasks it is asked")
    done: bool = Field(default=False, description="no more are asked")
    records: tuple[ExperienceRecord, ...] = Field(
        default=(), description="without the tasks' words; the label audition_of names the task that was asked again"
    )

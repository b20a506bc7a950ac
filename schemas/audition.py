"""What a newcomer answered when it was asked past tasks, without effect for anybody: kept apart from experience."""

from pydantic import Field

from schemas.base import Message, Moment, Token, now
from schemas.experience import ExperienceRecord


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

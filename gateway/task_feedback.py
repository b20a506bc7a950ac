"""Takes in what people and programs say of a task's result, for evolution to learn from. Called by the doors."""

from typing import Self

from pydantic import Field, model_validator

from gateway.bus.publishing import Publisher
from gateway.task_ledger import TaskLedger
from schemas import subjects
from schemas.base import Message
from schemas.experience import Feedback


class FeedbackDraft(Message):
    """An opinion as its sender writes it: a score, a thumb, words, or several of them."""

    score: float | None = Field(default=None, ge=0, le=1, examples=[0.9])
    thumbs_up: bool | None = Field(default=None, examples=[True])
    comment: str = Field(default="", max_length=20_000, examples=["the total is right, the date is not"])
    actor: str = Field(default="", max_length=200, examples=["ada"])

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.score is None and self.thumbs_up is None and not self.comment.strip():
            raise ValueError("give at least one of score, thumbs_up and comment")
        return self


class TaskFeedback:
    """Publishes feedback durably."""

    def __init__(self, publisher: Publisher, ledger: TaskLedger) -> None:
        self._publisher = publisher
        self._ledger = ledger

    async def give(self, tenant: str, task_id: str, draft: FeedbackDraft) -> Feedback:
        """Store the feedback in the experience stream. Raises TaskNotFound, BusUnavailable, StoreFull."""
        await self._ledger.get(tenant, task_id)
        feedback = Feedback(task_id=task_id, tenant=tenant, **draft.model_dump())
        payload = feedback.model_dump_json().encode()
        await self._publisher.publish(subjects.feedback(tenant), payload, feedback.feedback_id)
        return feedback

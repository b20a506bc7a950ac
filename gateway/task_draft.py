"""What a client sends to have something done, before admission gives it an identity. Read by every door."""

from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.base import Message, Token
from schemas.parts import Modality, Part, text_part
from schemas.task import Priority, RoutingHints, TaskSubmitted

Label = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class TaskDraft(Message):
    """A task as its client writes it: parts, or just ``text``, and what it asks of the gateway."""

    text: str | None = Field(default=None, description="short for one text part", examples=["what is 12 % of 85?"])
    parts: tuple[Part, ...] = Field(
        default=(),
        max_length=64,
        examples=[[{"text": "summarise this"}, {"name": "a.txt", "data": "aGVsbG8="}]],
    )
    routing: RoutingHints = Field(default=RoutingHints(), examples=[{"pin": ["echo"]}])
    priority: Priority = Field(default=Priority.NORMAL, examples=["normal"])
    requires_approval: bool = Field(default=False, examples=[False])
    deadline_s: float = Field(default=300.0, gt=0, le=7 * 86400, description="seconds of work allowed", examples=[60])
    max_cost: float | None = Field(default=None, ge=0, description="in the fleet's cost unit", examples=[0.5])
    labels: dict[Label, Label] = Field(default_factory=dict, max_length=32, examples=[{"project": "atlas"}])

    @model_validator(mode="after")
    def _not_empty(self) -> Self:
        words = [self.text, *(part.text for part in self.parts)]
        has_words = any(text is not None and text.strip() for text in words)
        if not has_words and all(part.text is not None for part in self.parts):
            raise ValueError("the task is empty: give it some text or an attachment")
        return self

    def all_parts(self) -> tuple[Part, ...]:
        """The parts with the short form's text first; links that clients put on references are dropped."""
        parts = tuple(_without_link(part) for part in self.parts)
        return parts if self.text is None else (text_part(self.text), *parts)

    def title(self, characters: int = 120) -> str:
        """The first words of the task, on one line."""
        words = " ".join(part.text for part in self.all_parts() if part.text is not None)
        return " ".join(words[: characters * 4].split())[:characters]


def _without_link(part: Part) -> Part:
    """Only workers say where bytes are fetched: a client's link would be followed by every agent."""
    if part.ref is None or part.ref.url is None:
        return part
    return part.model_copy(update={"ref": part.ref.model_copy(update={"url": None})})


def submitted(draft: TaskDraft, tenant: Token, task_id: Token, parts: tuple[Part, ...]) -> TaskSubmitted:
    """The message that goes on the bus."""
    return TaskSubmitted(
        task_id=task_id,
        tenant=tenant,
        priority=draft.priority,
        parts=parts,
        routing=draft.routing,
        requires_approval=draft.requires_approval,
        deadline_s=draft.deadline_s,
        max_cost=draft.max_cost,
        labels=draft.labels,
    )


EXAMPLES: dict[str, dict[str, Any]] = {
    "short": {"summary": "Just words", "value": {"text": "what is 12 % of 85?"}},
    "parts": {
        "summary": "Words and an uploaded file",
        "value": {
            "parts": [
                {"modality": Modality.TEXT.value, "text": "read the total off this invoice"},
                {"name": "invoice.png", "ref": {"digest": "sha256:" + "0" * 64, "size_bytes": 48213}},
            ],
            "priority": "high",
            "deadline_s": 60,
            "labels": {"project": "atlas"},
        },
    },
    "guarded": {
        "summary": "Only after a person's approval, by one agent, on a budget",
        "value": {
            "text": "send the reminder letters",
            "requires_approval": True,
            "routing": {"pin": ["letter-writer"]},
            "max_cost": 2.5,
        },
    },
}
"""Requests as OpenAPI shows them."""

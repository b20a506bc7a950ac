"""Errors over HTTP and of the services on the bus: RFC 9457 problem details."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class FieldProblem(BaseModel):
    """One field that is wrong."""

    model_config = ConfigDict(frozen=True)

    field: str
    problem: str
    expected: str = ""
    example: Any = None


class Problem(BaseModel):
    """What went wrong and what to do next. Media type ``application/problem+json``."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(default="about:blank", description="URI that names the kind of problem")
    title: str
    status: int
    detail: str = ""
    instance: str | None = None
    code: str = Field(default="", description="the same word as in task.event and dead letters")
    next_step: str = ""
    fields: tuple[FieldProblem, ...] = ()


def type_of(code: str) -> str:
    """The URI of that kind of problem."""
    return f"urn:aos:problem:{code}"


def title_of(code: str) -> str:
    """The code in words."""
    return code.replace("_", " ").capitalize()

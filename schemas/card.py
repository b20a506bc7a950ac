"""The agent card: what an agent claims to do, and how to reach it. The model of the schema files users write."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, HttpUrl, StringConstraints, model_validator

from schemas.base import Message, Price, Token
from schemas.parts import Modality

Tag = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._:-]{0,63}$")]


class Skill(Message):
    """One claim on a card. Each skill has its own vector in the index."""

    id: Token
    description: str = Field(min_length=8, max_length=2000)
    examples: tuple[str, ...] = Field(default=(), max_length=50, description="requests this skill answers well")
    inputs: tuple[Modality, ...] = Field(min_length=1, description="every modality that it can read")
    requires: tuple[Modality, ...] = Field(default=(), description="modalities without which it cannot start")
    outputs: tuple[Modality, ...] = Field(min_length=1, description="every modality that it produces")

    @model_validator(mode="after")
    def _requires_within_inputs(self) -> Self:
        unknown = set(self.requires) - set(self.inputs)
        if unknown:
            raise ValueError(f"requires {sorted(unknown)} which is not among its inputs")
        return self


class NatsEndpoint(Message):
    """An agent that answers requests on its invoke subject: any NATS client in any language."""

    kind: Literal["nats"] = "nats"
    command: tuple[str, ...] | None = Field(
        default=None, description="started and supervised by `aos up` when given; relative to the card"
    )


class PythonEndpoint(Message):
    """A Python callable, run in a child process of its own."""

    kind: Literal["python"] = "python"
    target: str = Field(
        pattern=r"^([^:\x00-\x1f]+\.py|[A-Za-z_][\w.]*):[A-Za-z_]\w*$",
        examples=["ocr.py:run", "my_package.agents:run"],
        description="file beside the card, or importable module, then the callable",
    )


class HttpEndpoint(Message):
    """An agent behind a URL: it gets the invocation as a JSON POST and answers with a JSON reply."""

    kind: Literal["http"] = "http"
    url: HttpUrl
    health_url: HttpUrl | None = None
    headers_from_env: dict[str, str] = Field(
        default_factory=dict, description="header -> environment variable that holds its value"
    )
    command: tuple[str, ...] | None = Field(
        default=None, description="started and supervised by `aos up` when given; relative to the card"
    )


class OpenAIEndpoint(Message):
    """A model behind an OpenAI-compatible chat API."""

    kind: Literal["openai"] = "openai"
    base_url: HttpUrl
    model: str
    api_key_env: str | None = None
    system_prompt: str = ""
    temperature: float = Field(default=0.0, ge=0, le=2)
    command: tuple[str, ...] | None = Field(
        default=None, description="started and supervised by `aos up` when given; relative to the card"
    )


Endpoint = Annotated[NatsEndpoint | PythonEndpoint | HttpEndpoint | OpenAIEndpoint, Field(discriminator="kind")]


class Timeouts(Message):
    """How long the agent may take."""

    step_s: float = Field(default=30.0, gt=0, le=86400)
    attempts: int = Field(default=3, ge=1, le=10)


class Cost(Message):
    """What using the agent costs, in the fleet's unit."""

    per_call: Price = 0.0
    per_second: Price = 0.0


class Liveness(StrEnum):
    """What is known of an agent's health."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


class AgentCard(Message):
    """One agent, as its schema file describes it."""

    id: Token
    version: str = Field(pattern=r"^\d+\.\d+\.\d+([-+].+)?$", examples=["1.0.0"])
    name: str = Field(default="", max_length=120)
    description: str = Field(min_length=8, max_length=4000)
    skills: tuple[Skill, ...] = Field(min_length=1, max_length=200)
    requires_modalities: tuple[Modality, ...] = Field(default=(), description="a task must carry all of these")
    endpoint: Endpoint
    timeouts: Timeouts = Timeouts()
    concurrency: int = Field(default=4, ge=1, le=10_000)
    cost: Cost = Cost()
    owner: str = Field(default="", max_length=200)
    tenant: Token = "default"
    tags: tuple[Tag, ...] = ()
    requires_approval: bool = False

    @model_validator(mode="after")
    def _skills_are_distinct(self) -> Self:
        ids = [skill.id for skill in self.skills]
        doubled = sorted({skill_id for skill_id in ids if ids.count(skill_id) > 1})
        if doubled:
            raise ValueError(f"skill ids must be distinct; {doubled} appear twice")
        return self

    def skill(self, skill_id: str) -> Skill:
        """The skill of that id. KeyError when the card has none."""
        for skill in self.skills:
            if skill.id == skill_id:
                return skill
        raise KeyError(skill_id)


class CardRevision(Message):
    """One version of a card in the registry."""

    card: AgentCard
    revision: int
    removed: bool = False


class Heartbeat(Message):
    """Published by an agent to ``aos.<t>.agent.<agent>.heartbeat`` while it is able to work."""

    agent_id: Token
    tenant: Token = "default"
    load: float = Field(default=0.0, ge=0, description="requests in flight over concurrency")

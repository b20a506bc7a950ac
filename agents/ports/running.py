"""Carrying a plan out: what the runner is given, what it tells on the way, and what comes of it. Asked by `journey`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from schemas.card import AgentCard
from schemas.network import Plan
from schemas.parts import Part
from schemas.task import StepOutcome, TaskEventKind, TaskSubmitted

Steps = tuple[StepOutcome, ...]

Did = Callable[[Steps, Steps], None]
"""Told of the steps that had ended when the run is cancelled, and of those whose agents had been asked until then."""

Tell = Callable[[TaskEventKind, dict[str, Any]], Awaitable[None]]
"""Publishes one moment of the task's life; must not raise for a slow bus."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """All the runner needs: the plan, the parts as perceived, and what was already approved."""

    task: TaskSubmitted
    plan: Plan
    parts: tuple[Part, ...]
    cards: dict[str, AgentCard]
    approved: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    did: Did = lambda _ended, _under_way: None


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How the run ended: with outputs, or waiting for approval of ``waiting_for``."""

    outputs: tuple[Part, ...] = ()
    steps: tuple[StepOutcome, ...] = ()
    cost: float = 0.0
    waiting_for: tuple[str, ...] = ()
    resumed_steps: int = field(default=0)


class Runner(Protocol):
    """Executes a plan durably. Called again after a crash, it resumes after the last stored step."""

    async def run(self, request: RunRequest, tell: Tell) -> RunOutcome:
        """Raises StepFailed, DeadlineExceeded, BudgetExceeded; asyncio.CancelledError passes through untouched,

        once ``did`` was told.
        """
        ...

    async def done(self, tenant: str, task_id: str, plan: Plan) -> tuple[StepOutcome, ...]:
        """The steps that runs of the plan have stored, in the plan's order, failed ones last; none is no error."""
        ...

    async def forget(self, tenant: str, task_id: str) -> None:
        """Drop the task's checkpoints once its result is stored."""
        ...

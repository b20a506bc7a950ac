"""What one worker knows of a task that it has in hand; the record is the truth. Kept by `travel`."""

from dataclasses import dataclass, field

from agents.journey.records import Held
from schemas.task import StageTimes, StepOutcome, TaskSubmitted
from tensor_layer.ports import Perceived


@dataclass(slots=True)
class Journey:
    """The task, its record as last stored, and what became of it so far."""

    task: TaskSubmitted
    held: Held
    perceived: Perceived | None = None
    times: StageTimes = field(default_factory=StageTimes)
    steps: tuple[StepOutcome, ...] = ()
    cost: float = 0.0

    def did(self, steps: tuple[StepOutcome, ...]) -> None:
        """These steps have ended, and no others."""
        self.steps, self.cost = steps, sum(step.cost for step in steps)

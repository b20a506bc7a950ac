"""What one worker knows of a task that it has in hand; the record is the truth. Kept by `travel`."""

from dataclasses import dataclass, field

from agents.journey.records import Held
from schemas.task import StageTimes, StepOutcome, TaskSubmitted
from tensor_layer.ports import Perceived

MOST_OF_THE_TIME = 0.5


@dataclass(slots=True)
class Journey:
    """The task, its record as last stored, and what became of it so far."""

    task: TaskSubmitted
    held: Held
    perceived: Perceived | None = None
    times: StageTimes = field(default_factory=StageTimes)
    steps: tuple[StepOutcome, ...] = ()
    cost: float = 0.0

    under_way: tuple[StepOutcome, ...] = ()

    def did(self, steps: tuple[StepOutcome, ...], under_way: tuple[StepOutcome, ...] = ()) -> None:
        """These steps have ended, and no others; of those under way agents were asked, and had not answered yet."""
        self.steps, self.cost = steps, sum(step.cost for step in steps)
        self.under_way = under_way

    def out_of_time(self) -> None:
        """The deadline passed: an agent that had most of the time and did not answer failed, whoever had less did not.

        One that was asked in the last moment is not to blame for what came before it.
        """
        most_ms = self.task.deadline_s * 1_000 * MOST_OF_THE_TIME
        self.steps += tuple(step for step in self.under_way if step.latency_ms >= most_ms)

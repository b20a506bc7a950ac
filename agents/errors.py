"""Everything that can go wrong between a task and its result.

AgentsError
├── CardInvalid             a schema file is refused: file, line, field, expected, example
├── AgentNotFound
├── NoAgentFits             matching abstained
├── NoNetworkFits           no type-correct network reaches the goal
│   └── NoNetworkGoodEnough the best network found promises less than the tenant's threshold
├── StepFailed              a step gave up after its attempts
│   ├── InputRequired       the agent says that the task lacks something
│   ├── StepTimedOut
│   ├── AgentUnreachable    nobody answers, or the circuit is open
│   ├── BadReply            the agent answered something that is not a reply
│   └── ApprovalDenied      a person said no
├── DeadlineExceeded
├── BudgetExceeded
├── TaskCancelled
├── RecordUnreadable        what is stored of a task does not read as its record
├── RecordTooLarge          the result has more parts than a record can hold
├── ServiceAway             what a task needs before its first step does not answer; it waits in the queue
├── WorkerStops             the worker ends before the task's next step; another one goes on
├── IndexUnavailable        the skill index's server does not answer
├── FilterContradiction     a search asks for what no skill can be
└── BusUnavailable          the bus does not take or give messages; work is redelivered
"""

from schemas.invocation import INPUT_REQUIRED
from schemas.task import APPROVAL_DENIED, BUDGET_EXCEEDED, DEADLINE_EXCEEDED, StepOutcome


class AgentsError(Exception):
    """Base of all errors of this package. ``code`` is the word that events, dead letters and problem JSON carry."""

    code = "agents_error"
    retryable = False
    steps: tuple[StepOutcome, ...] = ()
    """The steps that were done before the error, when it came from a run."""
    cost: float = 0.0
    """What they cost."""


class CardInvalid(AgentsError):
    """A card is refused. ``problems`` has one entry for each wrong field, with file, line, expectation and example."""

    code = "card_invalid"

    def __init__(self, message: str, problems: tuple["CardProblem", ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class CardProblem:
    """One wrong field of a card."""

    __slots__ = ("example", "expected", "field", "file", "line", "problem")

    def __init__(self, file: str, line: int, field: str, problem: str, expected: str, example: str) -> None:
        self.file = file
        self.line = line
        self.field = field
        self.problem = problem
        self.expected = expected
        self.example = example

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.file else f"line {self.line}"
        return f"{where}: {self.field}: {self.problem}. Expected {self.expected}, for example: {self.example}"


class AgentNotFound(AgentsError):
    """No agent of that id in the registry."""

    code = "agent_not_found"


class NoAgentFits(AgentsError):
    """Matching abstained: no eligible agent is near enough to the goal."""

    code = "no_agent_fits"


class NoNetworkFits(AgentsError):
    """No type-correct network of the candidates does the task."""

    code = "no_network_fits"


class NoNetworkGoodEnough(NoNetworkFits):
    """There are networks, but the best promises less quality than the tenant asks for. Says what was tried."""

    code = "no_network_good_enough"


class StepFailed(AgentsError):
    """A step gave up. ``said`` is the agent's own word for it, empty when it did not say one."""

    code = "step_failed"

    def __init__(
        self, message: str, *, step_id: str = "", agent_id: str = "", retryable: bool = False, said: str = ""
    ) -> None:
        super().__init__(message)
        self.step_id = step_id
        self.agent_id = agent_id
        self.retryable = retryable
        self.said = said


class InputRequired(StepFailed):
    """The agent says that the task lacks something, and what. Asking it again would change nothing."""

    code = INPUT_REQUIRED


class StepTimedOut(StepFailed):
    """The agent did not answer in time."""

    code = "step_timed_out"


class AgentUnreachable(StepFailed):
    """Nobody answers for the agent, its process exited, or its circuit is open."""

    code = "agent_unreachable"


class BadReply(StepFailed):
    """The agent answered something that is not an InvocationReply."""

    code = "bad_reply"


class ApprovalDenied(StepFailed):
    """A person said no to a step, or to the whole task."""

    code = APPROVAL_DENIED


class DeadlineExceeded(AgentsError):
    """The task's own deadline passed."""

    code = DEADLINE_EXCEEDED


class BudgetExceeded(AgentsError):
    """The task's cost budget is spent."""

    code = BUDGET_EXCEEDED


class TaskCancelled(AgentsError):
    """A person or client cancelled the task."""

    code = "cancelled"


class RecordUnreadable(AgentsError):
    """What is stored under a task's key is no record that this release reads."""

    code = "record_unreadable"


class RecordTooLarge(AgentsError):
    """What an agent answered does not fit the task's record, references and all."""

    code = "result_too_large"


class TaskTakenElsewhere(AgentsError):
    """Another message owns the task: this one is a duplicate, and is dropped."""

    code = "task_taken_elsewhere"
    retryable = True


class IndexUnavailable(AgentsError):
    """The server of the skill index does not answer just now."""

    code = "index_unavailable"
    retryable = True


class FilterContradiction(AgentsError):
    """A search's filters exclude each other: no skill could ever meet them."""

    code = "filter_contradiction"


class ServiceAway(AgentsError):
    """The object store, the index or the encoders do not answer. No fault of the task: it goes back to the queue."""

    code = "service_away"
    retryable = True


class WorkerStops(AgentsError):
    """This worker is about to end and begins no other step. The work goes back to the queue."""

    code = "worker_stops"
    retryable = True


class BusUnavailable(AgentsError):
    """The bus does not take or give messages just now. Unacknowledged work is redelivered by itself."""

    code = "bus_unavailable"
    retryable = True

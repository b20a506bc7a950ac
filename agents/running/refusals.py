"""An agent's answer that is an error, as the failure of its step, and what is told of several. Called by ``steps``."""

from agents.errors import AgentsError, InputRequired, StepFailed, StepTimedOut
from schemas.invocation import INPUT_REQUIRED, InvocationError

SAID_CHARS = 2_000
CODE_CHARS = 100
"""Of an agent's error: it travels on in the record, in events and in experience, which all have to fit a message."""


def refusal(agent_id: str, error: InvocationError) -> StepFailed:
    """The failure to raise. What the task lacks is not asked for again, whatever the agent says of retrying."""
    said, code = _short(error.message, SAID_CHARS), _short(error.code, CODE_CHARS)
    if code == INPUT_REQUIRED:
        advice = f"the task lacks something; submit it again with what {agent_id} asks for"
        return InputRequired(f"{advice}: {said}", said=code)
    return StepFailed(f"{agent_id} says: {said} ({code})", retryable=error.retryable, said=code)


def is_retryable(failure: StepFailed) -> bool:
    """Slowness may pass by itself; everything else only when whoever reports it says so."""
    return failure.retryable or isinstance(failure, StepTimedOut)


def more_telling(failure: StepFailed, also: AgentsError) -> StepFailed:
    """What is told of a step that nobody did: what the task lacks, unless its first agent may do it another time."""
    final = isinstance(failure, InputRequired) or is_retryable(failure)
    return also if isinstance(also, InputRequired) and not final else failure


def _short(words: str, limit: int) -> str:
    return words if len(words) <= limit else f"{words[:limit]} …"

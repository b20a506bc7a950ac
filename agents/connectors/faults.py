"""The three ways in which one attempt at a step fails, in words. Used by every connector."""

from agents.errors import AgentUnreachable, BadReply, StepTimedOut
from schemas.invocation import Invocation

WORDS_CHARACTERS = 2_000
"""Of what is told of a failure, some of which the agent chose: it travels on in events and in the task's record."""


def unreachable(invocation: Invocation, why: str, *, retryable: bool = True) -> AgentUnreachable:
    """Nobody answers for the agent. Not retryable where another attempt would end the same way."""
    message = f"{invocation.agent_id} cannot be reached: {_short(why)}"
    return AgentUnreachable(message, step_id=invocation.step_id, agent_id=invocation.agent_id, retryable=retryable)


def timed_out(invocation: Invocation, timeout_s: float, why: str = "") -> StepTimedOut:
    """The agent did not answer in time; it may another time."""
    message = f"{invocation.agent_id} did not answer within {timeout_s:g} s" + (f": {_short(why)}" if why else "")
    return StepTimedOut(message, step_id=invocation.step_id, agent_id=invocation.agent_id, retryable=True)


def bad_reply(invocation: Invocation, what: str, *, retryable: bool = False) -> BadReply:
    """The agent answered something else than a reply. As a rule it would say the same again, at the same cost."""
    message = f"{invocation.agent_id} answered {_short(what)}"
    return BadReply(message, step_id=invocation.step_id, agent_id=invocation.agent_id, retryable=retryable)


def _short(words: str) -> str:
    return words if len(words) <= WORDS_CHARACTERS else f"{words[:WORDS_CHARACTERS]} …"

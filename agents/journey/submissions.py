"""A message of the work queue as the task that it carries, or why it carries none. Pure; called by `dispatch`."""

import orjson
from nats.aio.msg import Msg
from pydantic import ValidationError

from agents.journey.dead import content_type_of
from schemas import subjects
from schemas.base import is_token
from schemas.task import TaskSubmitted
from schemas.wire import decode

_PROBLEM_CHARACTERS = 2_000


def task_in(message: Msg) -> TaskSubmitted:
    """The task. Raises ValueError, ValidationError among them."""
    size = len(message.data)
    if size > subjects.TASK_MESSAGE_BYTES:
        raise ValueError(
            f"the message has {size} bytes and a task at most {subjects.TASK_MESSAGE_BYTES}: content past 256 KiB "
            "travels by reference, see POST /v1/blobs"
        )
    return decode(TaskSubmitted, message.data, content_type_of(message))


def claimed_id(payload: bytes) -> str | None:
    """The id that a message claims which is no task, if it can be told of."""
    try:
        claimed = orjson.loads(payload).get("task_id")
    except (orjson.JSONDecodeError, AttributeError):
        return None
    return claimed if isinstance(claimed, str) and is_token(claimed) else None


def in_words(error: ValueError) -> str:
    """What is wrong with a message, field by field, short enough for a letter."""
    if not isinstance(error, ValidationError):
        return str(error)[:_PROBLEM_CHARACTERS]
    lines = [f"{'.'.join(map(str, item['loc'])) or 'message'}: {item['msg']}" for item in error.errors()]
    return "; ".join(lines)[:_PROBLEM_CHARACTERS]

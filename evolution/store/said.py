"""Stored feedback as it was said, task by task. Called by both durable stores as they read."""

import logging
from collections.abc import Callable, Collection, Iterable

import orjson

from evolution.privacy.guard import OPEN, Guard
from schemas.experience import Feedback

logger = logging.getLogger(__name__)

TASKS_A_QUERY = 500
"""How many tasks one question names: SQLite takes 999 values anywhere, and 500 are 50 kB in a question to InfluxDB."""


def lots(task_ids: Collection[str]) -> Iterable[list[str]]:
    """Each task once, in pieces of one question."""
    once = list(dict.fromkeys(task_ids))
    return (once[start : start + TASKS_A_QUERY] for start in range(0, len(once), TASKS_A_QUERY))


def by_task(task_ids: Collection[str], bodies: Iterable[str], guard: Guard = OPEN) -> dict[str, list[Feedback]]:
    """Stored JSON, oldest first, as lists of each task; what lies there twice counts once. Raises KeysUnusable."""
    found: dict[str, dict[str, Feedback]] = {task_id: {} for task_id in task_ids}
    for body in bodies:
        feedback = _read(body, guard.opened_feedback)
        if feedback is not None and feedback.task_id in found:
            found[feedback.task_id].setdefault(feedback.feedback_id, feedback)
    return {task_id: list(said.values()) for task_id, said in found.items()}


def without_words(body: str) -> Feedback | None:
    """Who said something, of what and when, from stored JSON; the comment, which may lie sealed, is left out."""
    return _read(body, _wordless)


def _wordless(body: str) -> Feedback:
    match orjson.loads(body):
        case dict() as values:
            return Feedback.model_validate({**values, "comment": ""}, extra="ignore")
    raise ValueError("feedback is an object")


def _read(body: str, opened: Callable[[str], Feedback]) -> Feedback | None:
    """None for what another release wrote differently: it must not hide all the others."""
    try:
        return opened(body)
    except ValueError as error:
        logger.warning("stored feedback does not read as such and is left out: %s", type(error).__name__)
        return None

"""Begins and ends the background tasks of services. Used by whatever follows something for a worker's whole life."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

logger = logging.getLogger(__name__)

CANCEL_AGAIN_S = 0.2

Loop = Callable[[], Coroutine[Any, Any, None]]


def begun(loops: Sequence[Loop], of: str) -> list[asyncio.Task[None]]:
    """A task for each loop, named after it. One that ends by an error is told in the log at once."""
    tasks = [asyncio.create_task(loop(), name=f"{of} {loop.__name__.strip('_')}") for loop in loops]
    for task in tasks:
        task.add_done_callback(_log_end)
    return tasks


async def ended(*tasks: "asyncio.Task[Any] | None") -> None:
    """Cancel the tasks until they are over; whatever they raise is dropped.

    Until Python 3.12 asyncio.wait_for, in every request of nats-py, loses a cancellation that meets its answer.
    """
    pending = {task for task in tasks if task is not None and not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)


def _log_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("%s ended; what this worker knows grows old", task.get_name(), exc_info=task.exception())

"""Ends a background task for sure. Called by services when they stop."""

import asyncio
from typing import Any

CANCEL_AGAIN_S = 0.2


async def ended(task: "asyncio.Task[Any] | None") -> None:
    """Cancel the task until it is over; whatever it raises is dropped.

    Until Python 3.12 asyncio.wait_for, in every request of nats-py, loses a cancellation that meets its answer.
    """
    while task is not None and not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_AGAIN_S)

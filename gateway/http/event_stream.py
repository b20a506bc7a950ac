"""Tells a task's events as server-sent events (WHATWG HTML, section 9.2). Called by `tasks`."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from gateway.bus.stream_reader import Stored
from gateway.task_following import Following, kind_of

MEDIA_TYPE = "text/event-stream"
HEARTBEAT_S = 15.0
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_RETRY_MS = 1000


async def told(
    following: Following, tenant: str, task_id: str, after_seq: int, heartbeat_s: float = HEARTBEAT_S
) -> AsyncGenerator[bytes, None]:
    """The task's story as a stream, with a comment in long silences so that nobody hangs up."""
    yield f"retry: {_RETRY_MS}\n\n".encode()
    spoke_at = time.monotonic()
    async with aclosing(following.events(tenant, task_id, after_seq)) as events:
        async for event in events:
            if event is not None:
                yield frame(event)
            elif time.monotonic() - spoke_at >= heartbeat_s:
                yield b": still here\n\n"
            else:
                continue
            spoke_at = time.monotonic()


def frame(event: Stored) -> bytes:
    """One event: its stream sequence as id, its kind, its JSON."""
    data = b"".join(b"data: " + line + b"\n" for line in event.data.splitlines())
    return b"id: %d\nevent: %s\n%s\n" % (event.seq, kind_of(event.data), data)

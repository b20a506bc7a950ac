"""Which bus a connection leads to, by whatever address. The door tells it, and commands compare it with theirs."""

from nats.js import JetStreamContext
from nats.js.api import StreamInfo
from nats.js.errors import NotFoundError

from schemas import subjects


async def identity_of(js: JetStreamContext) -> str:
    """The same from every server of one cluster and for every client; empty where no role has ever run.

    Raises nats.errors.Error or OSError when the bus does not answer.
    """
    try:
        return told_by(await js.stream_info(subjects.STREAM_TASKS))
    except NotFoundError:
        return ""


def told_by(work_queue: StreamInfo) -> str:
    """The moment at which the bus's work queue was made, to the microsecond: no two buses share it."""
    return f"{work_queue.created:%Y-%m-%dT%H:%M:%S.%fZ}" if work_queue.created else ""

"""One NATS connection per process, which outlives every restart of the server. Called by the wiring of each role."""

import logging
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from nats.aio.client import Client

from gateway.bus.client import BusClient

logger = logging.getLogger(__name__)

RECONNECT_WAIT_S = 0.25
PING_EVERY_S = 3
PINGS_UNANSWERED = 2
"""A server that answers none of so many is left for another one: a machine that is cut off closes no connection."""


async def connect(
    url: str,
    name: str,
    *,
    credentials: str | None = None,
    echo: bool = True,
    on_closed: Callable[[], None] = lambda: None,
) -> Client:
    """Connect and reconnect for ever; nothing is buffered while the server is away, so that every loss is an error.

    Without ``echo`` its subscriptions hear nothing that it published itself. A server that does
    not answer is waited for, the first time as well. Raises nats.errors.Error when it refuses the credentials. When it
    refuses them later (they expired, or were changed), the client closes for good: then ``on_closed`` is called, as it
    is after ``close``.
    """

    async def closed() -> None:
        on_closed()

    client = BusClient()
    await client.connect(
        servers=url.split(","),
        name=name,
        user_credentials=credentials,
        no_echo=not echo,
        allow_reconnect=True,
        max_reconnect_attempts=-1,
        reconnect_time_wait=RECONNECT_WAIT_S,  # type: ignore[arg-type] # parts of a second are waited for as well
        connect_timeout=5,
        ping_interval=PING_EVERY_S,
        max_outstanding_pings=PINGS_UNANSWERED,
        pending_size=16 * 1024 * 1024,
        error_cb=_log_error(url),
        disconnected_cb=_log("disconnected from the bus"),
        reconnected_cb=_log("reconnected to the bus"),
        closed_cb=closed,
    )
    return client


def _log_error(url: str) -> Callable[[Exception], Awaitable[None]]:
    places = ", ".join(urlsplit(one).netloc.rpartition("@")[2] for one in url.split(","))  # without passwords

    async def callback(error: Exception) -> None:
        logger.warning("bus at %s: %s", places, str(error) or type(error).__name__)

    return callback


def _log(message: str) -> Callable[[], Awaitable[None]]:
    async def callback() -> None:
        logger.info(message)

    return callback

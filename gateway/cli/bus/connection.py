"""One connection to the bus for one command; a bus that does not answer becomes Failed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from gateway.cli.terminal.failure import ExitCode, Failed
from gateway.settings import Settings

if TYPE_CHECKING:
    from nats.aio.client import Client

BUS_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0


@asynccontextmanager
async def bus_of(settings: Settings, *, changes: bool = False) -> AsyncIterator["Client"]:
    """One connection for one command; streams and buckets are the roles' to create, not the command line's.

    With ``changes`` it is refused when the gateway that is set runs on another bus, and the bus is said at the end.
    """
    from nats.errors import Error  # lazy: 0.15 s that --help need not pay

    from gateway.cli.bus.reach import reached
    from gateway.cli.bus.which import compare, say_changed, without_password

    try:
        nc = await reached(settings, "aos-cli", CONNECT_TIMEOUT_S)
    except (Error, OSError) as error:
        raise Failed(
            f"no bus answers at {without_password(settings.nats_url)}: {_why(error)}",
            exit_code=ExitCode.UNREACHABLE,
            code="bus_unavailable",
            next_step="start one with `aos up`, or set AOS_NATS_URL to the one that runs: AOS_URL is only the gateway",
        ) from error
    try:
        await compare(settings, nc.jetstream(timeout=BUS_TIMEOUT_S), changes=changes)
        yield nc
        if changes:
            say_changed(settings)
    finally:
        await nc.close()


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):  # nats-py asks again and again where nobody listens
        return f"tried for {CONNECT_TIMEOUT_S:g} s"
    return str(error) or type(error).__name__

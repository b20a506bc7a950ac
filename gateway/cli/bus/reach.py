"""A connection to the bus for one command or check: quick to give up, silent about what it raises."""

import asyncio

import nats
from nats.aio.client import Client

from gateway.settings import Settings


async def reached(settings: Settings, name: str, within_s: float) -> Client:
    """Connected. Raises nats.errors.Error or OSError, TimeoutError after ``within_s``."""
    async with asyncio.timeout(within_s):  # nats-py's own limits let it try for two minutes
        return await nats.connect(
            settings.nats_url.split(","),
            name=name,
            user_credentials=settings.nats_credentials,
            reconnect_time_wait=0.2,
            error_cb=_silent,
        )


async def _silent(error: Exception) -> None:
    """The error is raised as well; said twice it would only confuse."""

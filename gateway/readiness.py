"""Says whether this door can do its job now: bus connected, streams there, and whether any worker takes tasks."""

import asyncio

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from pydantic import BaseModel, ConfigDict

from gateway.bus.identity import told_by
from schemas import subjects

_NEEDED = (subjects.STREAM_TASKS, subjects.STREAM_EVENTS, f"KV_{subjects.BUCKET_TASKS}")


_LONGEST_S = 2.0


class Ready(BaseModel):
    """What was found. A door without workers is ready: it accepts tasks durably, and they wait.

    ``bus_id`` is the same for all doors and commands on one bus; it says nothing of where that is.
    """

    model_config = ConfigDict(frozen=True)

    ready: bool
    bus: str
    streams: str
    workers: str
    bus_id: str = ""


class Readiness:
    """Looks; never raises."""

    def __init__(self, nc: Client, js: JetStreamContext) -> None:
        self._nc = nc
        self._js = js

    async def check(self) -> Ready:
        """Ask the bus."""
        if not self._nc.is_connected:
            return Ready(ready=False, bus="disconnected", streams="unknown", workers="unknown")
        try:
            async with asyncio.timeout(_LONGEST_S):
                streams = [await self._js.stream_info(stream) for stream in _NEEDED]
                workers = await self._workers()
        except (nats.errors.Error, OSError) as error:
            return Ready(ready=False, bus="connected", streams=f"missing or silent: {error!r}", workers="unknown")
        return Ready(ready=True, bus="connected", streams="present", workers=workers, bus_id=told_by(streams[0]))

    async def _workers(self) -> str:
        """A worker is seen by its open pull request, or by the tasks that it holds."""
        consumers = await self._js.consumers_info(subjects.STREAM_TASKS)
        pulling = any(consumer.num_waiting or consumer.num_ack_pending for consumer in consumers)
        return "seen" if pulling else "none seen; tasks wait until one starts"

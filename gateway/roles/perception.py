"""The perception role: makes vectors for workers that ask for them over the bus. Any number of them share the load."""

import asyncio

from gateway.roles.foundation import open_bus
from gateway.settings import Settings
from tensor_layer.bus import PerceptionService
from tensor_layer.wiring import local_text_encoder


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Answer until ``stop`` is set. Raises OSError when the bus does not answer, EncoderUnavailable without weights."""
    async with open_bus(settings, "aos-perception") as bus:
        service = PerceptionService(bus.nc, local_text_encoder(threads=settings.perception.threads))
        await service.start()
        await stop.wait()
        await service.stop()

"""The perception role: makes vectors for workers that ask for them over the bus. Any number of them share the load."""

import asyncio

from gateway.foundation import open_blobs, open_bus
from gateway.settings import Settings
from tensor_layer.wiring import EncoderChoice, local_encoders, perception_service


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Answer until ``stop`` is set. Raises EncoderUnavailable without weights, else as `open_bus`."""
    async with open_bus(settings, "aos-perception", stop=stop) as bus:
        service = perception_service(bus.nc, local_encoders(open_blobs(settings), choice_of(settings)))
        await service.start()
        await stop.wait()
        await service.stop()


def choice_of(settings: Settings) -> EncoderChoice:
    """Which encoders the settings name."""
    chosen = settings.perception
    return EncoderChoice(
        text=chosen.text,
        image=chosen.image,
        audio=chosen.audio,
        device=chosen.device,
        dtype=chosen.dtype,
        threads=chosen.threads,
        text_prompt=chosen.text_prompt,
    )

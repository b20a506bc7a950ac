"""The agents role: a worker that perceives, matches, plans, runs and settles. Any number of them share the work."""

import asyncio

from nats.aio.client import Client

from agents.journey.dispatch import DispatchLimits
from agents.journey.lanes import LaneLimits
from agents.wiring import WorkerOptions, build_worker, open_index
from gateway.roles.foundation import open_blobs, open_bus
from gateway.settings import Settings
from tensor_layer.ports import TextEncoder
from tensor_layer.wiring import local_text_encoder, perceiver, remote_text_encoder


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until ``stop`` is set, then drain. Raises OSError when the bus does not answer."""
    async with open_bus(settings, "aos-agents") as bus:
        blobs = open_blobs(settings)
        api_key = settings.index.api_key.get_secret_value() if settings.index.api_key else None
        worker = await build_worker(
            bus.nc,
            bus.js,
            nats_url=settings.nats_url,
            perceiver=perceiver(blobs, await _encoder(settings, bus.nc)),
            blobs=blobs,
            index=await open_index(settings.index.url, api_key, settings.index_dir),
            options=options_of(settings),
        )
        await worker.run(stop)


async def _encoder(settings: Settings, nc: Client) -> TextEncoder:
    """The perception role's encoder over the bus, or one in this process."""
    if settings.perception.remote:
        return await remote_text_encoder(nc)
    return local_text_encoder(threads=settings.perception.threads)


def options_of(settings: Settings) -> WorkerOptions:
    """The worker's numbers, from the settings."""
    agents = settings.agents
    return WorkerOptions(
        lanes=LaneLimits(slots=agents.tasks_in_flight, ack_wait_s=agents.ack_wait_s),
        dispatch=DispatchLimits(max_deliveries=agents.max_deliver),
        match_threshold=agents.match_threshold,
        record_experience=agents.record_experience,
        drain_s=settings.supervision.drain_s * 0.75,
        gateway_url=settings.public_url,
        python_folders=(agents.cards_dir.absolute(),) if agents.cards_dir else (),
        python_packages=agents.python_packages,
    )

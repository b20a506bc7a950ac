"""The agents role: a worker that perceives, matches, plans, runs and settles. Any number of them share the work."""

import asyncio

from nats.aio.client import Client

from agents.evolving.live.wiring import PlanningOptions
from agents.journey.dispatch import DispatchLimits
from agents.journey.lanes import LaneLimits
from agents.wiring import WorkerOptions, build_worker, open_index
from gateway.foundation import open_blobs, open_bus
from gateway.roles.perception import choice_of
from gateway.settings import Settings
from tensor_layer.ports import Blobs
from tensor_layer.wiring import Encoders, local_encoders, perceiver, perception_service, remote_encoders


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Work until ``stop`` is set, then drain. Raises as `open_bus`."""
    async with open_bus(settings, "aos-agents", echo=False, stop=stop) as bus:
        blobs = open_blobs(settings)
        encoders = await _encoders(settings, bus.nc, blobs)
        api_key = settings.index.api_key.get_secret_value() if settings.index.api_key else None
        perceiving = perceiver(blobs, encoders)
        worker = await build_worker(
            bus.nc,
            bus.js,
            nats_url=settings.nats_url,
            nats_credentials=settings.nats_credentials,
            perceiver=perceiving,
            blobs=blobs,
            index=await open_index(settings.index.url, api_key, settings.index_dir, perceiving.text_version),
            options=options_of(settings),
        )
        if settings.perception.remote or not settings.perception.serve:
            await worker.run(stop)
            return
        # Its encoders are loaded anyway: whoever asks on the bus shares them, and no process holds them twice.
        service = perception_service(bus.nc, encoders)
        await service.start(load=False)
        try:
            await worker.run(stop)
        finally:
            await service.stop()


async def _encoders(settings: Settings, nc: Client, blobs: Blobs) -> Encoders:
    """The perception role's encoders over the bus, or some in this process."""
    if settings.perception.remote:
        return await remote_encoders(nc, blobs)
    return local_encoders(blobs, choice_of(settings))


def options_of(settings: Settings) -> WorkerOptions:
    """The worker's numbers, from the settings."""
    agents = settings.agents
    return WorkerOptions(
        lanes=LaneLimits(slots=agents.tasks_in_flight, ack_wait_s=agents.ack_wait_s),
        dispatch=DispatchLimits(max_deliveries=agents.max_deliver),
        match_threshold=agents.match_threshold,
        planning=PlanningOptions(
            preference=agents.preference.removesuffix("_first"),
            quality_threshold=agents.quality_threshold,
            fresh_share=agents.fresh_plan_share,
        ),
        record_experience=agents.record_experience,
        # Words that are redacted or sealed in the store must not lie open on the bus for replay.
        keep_submissions=not (settings.experience.redact or settings.experience.key_file),
        drain_s=settings.supervision.drain_s * 0.75,
        gateway_url=settings.public_url,
        python_folders=(agents.cards_dir.absolute(),) if agents.cards_dir else (),
        python_packages=agents.python_packages,
        python_children=agents.python_children,
        policies_bytes=agents.policies_mib * 1_024 * 1_024,
    )

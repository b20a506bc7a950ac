"""The gateway role: the HTTP door. Any number of them, no sticky sessions; all state is on the bus."""

import asyncio
import logging

from agents.registry.kv_registry import KvRegistry
from gateway.door_limits import DoorLimits
from gateway.foundation import Bus, open_blobs, open_bus, open_unused
from gateway.http.app import create_app
from gateway.http.doors import open_doors
from gateway.http.server import serve_http
from gateway.keeping.contents import ContentSweep
from gateway.keeping.references import References
from gateway.record_housekeeping import RecordHousekeeper
from gateway.removed_keys import RemovedKeys
from gateway.settings import Settings
from tensor_layer.errors import BlobStoreUnavailable
from tensor_layer.storage.blobs import ObstoreBlobs

logger = logging.getLogger(__name__)

DAY_S = 86_400.0


async def run(settings: Settings, stop: asyncio.Event) -> None:
    """Serve until ``stop`` is set. Raises OSError when the port is taken, else as `open_bus`."""
    async with open_bus(settings, "aos-gateway", stop=stop) as bus:
        blobs = open_blobs(settings)
        doors = await open_doors(bus.nc, bus.js, blobs, KvRegistry(bus.js), limits_of(settings))
        chores = [
            asyncio.create_task(_sweep_daily(blobs)),
            asyncio.create_task(RecordHousekeeper(bus.nc, bus.js).run()),
            asyncio.create_task(RemovedKeys(bus.nc, bus.js).run()),
            asyncio.create_task(content_sweep(settings, bus).run()),
        ]
        try:
            await serve_http(create_app(doors), settings.http.host, settings.http.port, stop)
        finally:
            for chore in chores:
                chore.cancel()


def content_sweep(settings: Settings, bus: Bus) -> ContentSweep:
    """As the settings say."""
    retention = settings.retention
    unused_s = retention.contents_days * DAY_S
    return ContentSweep(References(bus.nc, bus.js), open_unused(settings), unused_s, retention.sweep_every_s)


async def _sweep_daily(blobs: ObstoreBlobs) -> None:
    """Remove what uploads of killed doors left behind, now and every day."""
    while True:
        try:
            removed = await blobs.sweep_leftovers()
        except BlobStoreUnavailable as error:
            logger.warning("old uploads cannot be swept: %s", error)
        else:
            logger.info("swept %d old uploads", removed)
        await asyncio.sleep(DAY_S)


def limits_of(settings: Settings) -> DoorLimits:
    """What the door lets in."""
    return DoorLimits(
        attachment_bytes=settings.limits.attachment_bytes,
        inspected_bytes=settings.limits.inspected_bytes,
        json_body_bytes=settings.limits.json_body_bytes,
        wait_s=settings.limits.wait_s,
        followers=settings.limits.followers,
    )

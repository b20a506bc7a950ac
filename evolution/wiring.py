"""Puts the evolution layer together: which store, and the recorder that fills it. Called by the composition root."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import nats.errors
from nats.aio.client import Client
from nats.js import JetStreamContext

from evolution.bus import DURABLE, ExperienceConsumer
from evolution.claiming import Place
from evolution.ports import ExperienceStore
from evolution.privacy.guard import OPEN, Guard
from evolution.recording import Recorder
from evolution.store.memory_store import MemoryExperienceStore
from evolution.store.sqlite_store import SqliteExperienceStore
from evolution.tiers.cold_files import ColdFiles
from evolution.tiers.tiered_store import TieredStore
from schemas import subjects


class StoreKind(StrEnum):
    """Where experience is kept."""

    SQLITE = "sqlite"
    INFLUX = "influx"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """What it takes to open a store. ``path`` is for sqlite; ``url``, ``token``, ``org`` and retention for influx.

    ``cold`` is where the embedded store's old records lie; None: it has none.
    """

    kind: StoreKind = StoreKind.SQLITE
    path: Path = Path("experience.db")
    max_bytes: int | None = None
    read_only: bool = False
    url: str = "http://127.0.0.1:8086"
    token: str = ""
    org: str = "aos"
    retention_days: int = 90
    guard: Guard = OPEN
    cold: ColdFiles | None = None


def build_store(settings: StoreSettings) -> ExperienceStore:
    """The store; nothing is opened before its first use."""
    if settings.kind is StoreKind.MEMORY:
        return MemoryExperienceStore()
    if settings.kind is StoreKind.SQLITE:
        hot = SqliteExperienceStore(
            settings.path, max_bytes=settings.max_bytes, read_only=settings.read_only, guard=settings.guard
        )
        return hot if settings.cold is None else TieredStore(hot, settings.path, settings.cold, settings.guard)
    # Imported here: influxdb-client takes 0.3 s to import, and only deployments with InfluxDB need it.
    from evolution.store.influx_store import InfluxExperienceStore

    return InfluxExperienceStore(
        settings.url,
        token=settings.token,
        org=settings.org,
        retention_days=settings.retention_days,
        guard=settings.guard,
    )


async def claim_store(js: JetStreamContext, place: Place) -> None:
    """Asked before anything of the role works. Raises RecordedElsewhere; for a silent bus the recorder waits."""
    with suppress(nats.errors.Error):
        await place.claim(js, subjects.STREAM_EXPERIENCE, DURABLE)


async def run_recorder(nc: Client, store: ExperienceStore, stop: asyncio.Event, place: Place | None = None) -> None:
    """Records what the bus brings until ``stop`` is set; the batch in hand is finished. The store stays open.

    With ``place``, where the store is, raises RecordedElsewhere while somebody else fills another one.
    """
    await ExperienceConsumer(nc, Recorder(store), place=place).run(stop)

"""Looks after the embedded experience store as the settings say: compaction, forgetting, new keys.

Called by `aos experience` and by the evolution role's schedule. InfluxDB keeps its own house: its buckets expire.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import timedelta

from evolution.errors import EvolutionError, KeysUnusable, NotEmbedded
from evolution.mining.digest import DigestFolder
from evolution.privacy.keys import KeyRing
from evolution.store.moments import microseconds
from evolution.tiers import compaction, forgetting
from evolution.tiers.cold_files import ColdFiles
from evolution.tiers.compaction import Compacted
from evolution.tiers.forgetting import Forgotten
from gateway.roles.foundation import object_store
from gateway.settings import Settings
from schemas.base import now

logger = logging.getLogger(__name__)


def compact(settings: Settings, progress: Callable[[int], None] = lambda _moved: None) -> Compacted:
    """Move what is no longer hot, remove what is too old. For a thread. Raises EvolutionError."""
    _must_be_embedded(settings, "set its retention instead (influx.retention_days)")
    moment, experience = now(), settings.experience
    return compaction.compact(
        settings.experience_file,
        ColdFiles(*object_store(settings)),
        hot_until_us=microseconds(moment - timedelta(days=experience.hot_days)),
        cold_until_us=microseconds(moment - timedelta(days=experience.cold_days)),
        progress=progress,
    )


def forget(settings: Settings, tenant: str, *, task: str | None = None, subject: str | None = None) -> Forgotten:
    """Remove a task's or a person's traces, from mining's digest too. For a thread. Raises EvolutionError."""
    _must_be_embedded(settings, "delete the points with `influx delete`")
    cold = ColdFiles(*object_store(settings))
    found = forgetting.forget(settings.experience_file, cold, tenant, task=task, subject=subject)
    DigestFolder(settings.mining_dir / tenant).forget(found.tasks)
    return found


def rotate_keys(
    settings: Settings, tenant: str, *, drop_old: bool, progress: Callable[[int], None] = lambda _done: None
) -> tuple[int, int]:
    """A new key for the tenant, and everything of it sealed by that key. For a thread. Raises EvolutionError.

    Answers how many texts were renewed, and how many older keys were dropped.
    """
    if settings.experience.key_file is None:
        raise KeysUnusable(
            "no key file is set: set experience.key_file (AOS_EXPERIENCE_KEYS) for every role, then repeat"
        )
    _must_be_embedded(settings, "new records are sealed by the new key once the file holds it")
    keys = KeyRing(settings.experience.key_file)
    keys.add(tenant)
    renewed = 0
    if settings.experience_file.exists():
        cold = ColdFiles(*object_store(settings))
        renewed = forgetting.renew(settings.experience_file, cold, keys, tenant, progress)
        # What the recorder sealed by the old key meanwhile.
        forgetting.renew(settings.experience_file, cold, keys, tenant)
    return renewed, keys.keep_newest(tenant) if drop_old else 0


async def compact_on_schedule(settings: Settings, stop: asyncio.Event) -> None:
    """Compact every ``experience.compact_every_s`` until ``stop`` is set; a run under way is waited for."""
    while settings.experience.compact_every_s > 0 and settings.influx.url is None and not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), settings.experience.compact_every_s)
        if stop.is_set():
            return
        try:
            done = await asyncio.to_thread(compact, settings)
        except EvolutionError as error:
            logger.warning("experience is not compacted: %s", error)
        else:
            logger.info("%d records went to the cold tier, %d for good", done.moved, done.removed)


def _must_be_embedded(settings: Settings, instead: str) -> None:
    if settings.influx.url is not None:
        raise NotEmbedded(f"experience lies in InfluxDB at {settings.influx.url}: {instead}")

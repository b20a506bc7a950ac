"""Looks after the experience store as the settings say: compaction, forgetting, new keys, counts by the day.

Called by `aos experience` and by the evolution role's schedule.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from evolution.errors import EvolutionError, KeysUnusable, NotEmbedded
from evolution.mining.digest import DigestFolder
from evolution.privacy.keys import KeyRing
from evolution.progress import Progress, unseen
from evolution.store import sqlite_schema
from evolution.store.moments import microseconds
from evolution.tiers import compaction, forgetting, sealing
from evolution.tiers.cold_files import ColdFiles
from evolution.tiers.compaction import Compacted
from evolution.tiers.forgetting import Forgotten
from evolution.tiers.summary import DayOfAgent, by_day, summed
from gateway.experience_store import guard_of
from gateway.foundation import object_store
from gateway.settings import Settings
from schemas.base import now

if TYPE_CHECKING:
    from evolution.store.influx_keeping import InfluxKeeping
    from evolution.store.influx_keeping import Kept as InfluxKept

logger = logging.getLogger(__name__)

FOR_EVER_US = 2**62
PATIENCE_S = 300.0
"""Forgetting waits so long for mining, which takes most of a minute for a million tasks."""

Result = TypeVar("Result")


def compact(settings: Settings, progress: Progress = unseen) -> "Compacted | InfluxKept":
    """Move what is no longer hot, remove what is too old; in InfluxDB set how long buckets keep and count the hours.

    For a thread. Raises EvolutionError.
    """
    moment, experience = now(), settings.experience
    if settings.influx.url is not None:
        retention_s = settings.influx.retention_days * 86_400
        return _in_influx(settings, lambda keeping: keeping.compact(retention_s, moment))
    return compaction.compact(
        settings.experience_file,
        ColdFiles(*object_store(settings)),
        hot_until_us=microseconds(moment - timedelta(days=experience.hot_days)),
        cold_until_us=microseconds(moment - timedelta(days=experience.cold_days)),
        progress=progress,
    )


def must_exist(settings: Settings) -> None:
    """Raises StoreMissing where no store is: a person who looks in the wrong folder has to know it,

    above all one who wants something forgotten.
    """
    if settings.influx.url is None:
        sqlite_schema.must_exist(settings.experience_file)


def forget(
    settings: Settings,
    tenant: str,
    *,
    task: str | None = None,
    subject: str | None = None,
    progress: Progress = unseen,
) -> Forgotten:
    """Remove a task's or a person's traces, from mining's digest too; also what an earlier run was ended at.

    Then the bus is to be looked into for the tasks of the answer, and ``finish_forgetting`` called. For a thread.
    Raises EvolutionError; MiningBusy and MiningStateUnusable before anything is removed.
    """
    folder = DigestFolder(settings.mining_dir / tenant)
    # Nobody mines meanwhile: what is read before it is removed here would be in the digest afterwards.
    with folder.locked(PATIENCE_S):
        note = folder.unfinished.add
        if settings.influx.url is None:
            path, cold = settings.experience_file, ColdFiles(*object_store(settings))
            found = forgetting.forget(path, cold, tenant, task=task, subject=subject, note=note, progress=progress)
        else:
            gone = _in_influx(settings, lambda keeping: keeping.forget(tenant, task=task, subject=subject, note=note))
            found = Forgotten(gone.tasks, gone.records, gone.feedback)
        tasks = folder.unfinished.tasks()
        folder.forget(tasks)
    return replace(found, tasks=tuple(sorted(tasks.union(found.tasks))))


def finish_forgetting(settings: Settings, tenant: str, tasks: Collection[str]) -> None:
    """Nothing on the bus names these tasks any more. For a thread. Raises MiningBusy, MiningStateUnusable."""
    folder = DigestFolder(settings.mining_dir / tenant)
    if not folder.unfinished.tasks().isdisjoint(tasks):
        with folder.locked(PATIENCE_S):
            folder.unfinished.done(tasks)


def days(
    settings: Settings, since: datetime, until: datetime | None = None, agent_id: str | None = None
) -> list[DayOfAgent]:
    """What happened by the day and agent in that time, oldest first. For a thread. Raises EvolutionError."""
    since_us, until_us = microseconds(since), FOR_EVER_US if until is None else microseconds(until)
    if settings.influx.url is None:
        return by_day(settings.experience_file, settings.tenant, since_us, until_us, agent_id)
    hours = _in_influx(settings, lambda keeping: keeping.counted(settings.tenant, since_us, until or now()))
    return summed({hour: sums for hour, sums in hours.items() if hour[0] < until_us}, agent_id)


def _in_influx(settings: Settings, work: "Callable[[InfluxKeeping], Awaitable[Result]]") -> Result:
    """Runs the work on a loop of its own, for the callers here are synchronous."""
    from evolution.store.influx_keeping import InfluxKeeping  # lazy: influxdb-client takes 0.3 s
    from evolution.store.influx_server import InfluxServer
    from evolution.store.influx_store import InfluxExperienceStore

    async def run() -> Result:
        influx, url = settings.influx, settings.influx.url or ""
        token = influx.token.get_secret_value() if influx.token else ""
        server = InfluxServer(url, token=token, org=influx.org)
        store = InfluxExperienceStore(url, token=token, org=influx.org, guard=guard_of(settings))
        try:
            return await work(InfluxKeeping(server, store))
        finally:
            await store.close()
            await server.close()

    return asyncio.run(run())


def rotate_keys(settings: Settings, tenant: str, *, drop_old: bool, progress: Progress = unseen) -> tuple[int, int]:
    """A new key for the tenant, and everything of it sealed by that key. For a thread. Raises EvolutionError.

    Answers how many texts were renewed, and how many older keys were dropped.
    """
    if settings.experience.key_file is None:
        raise KeysUnusable(
            "no key file is set: set experience.key_file (AOS_EXPERIENCE_KEYS) for every role, then repeat"
        )
    _must_be_embedded(settings, "new records are sealed by the new key once the file holds it")
    keys, path = KeyRing(settings.experience.key_file), settings.experience_file
    keys.add(tenant)
    renewed = 0
    if sqlite_schema.is_there(path):
        cold, until = ColdFiles(*object_store(settings)), sealing.stored_until(path)
        renewed = sealing.renew(path, cold, keys, tenant, progress)
        # What the recorder sealed by the old key meanwhile.
        sealing.renew(path, cold, keys, tenant, after=until)
    return renewed, keys.keep_newest(tenant) if drop_old else 0


async def compact_on_schedule(settings: Settings, stop: asyncio.Event) -> None:
    """Compact every ``experience.compact_every_s`` until ``stop`` is set; a run under way is waited for."""
    while settings.experience.compact_every_s > 0 and not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), settings.experience.compact_every_s)
        if stop.is_set():
            return
        try:
            done = await asyncio.to_thread(compact, settings)
        except EvolutionError as error:
            logger.warning("experience is not compacted: %s", error)
        else:
            logger.info("experience was compacted: %s", done)


def _must_be_embedded(settings: Settings, instead: str) -> None:
    if settings.influx.url is not None:
        raise NotEmbedded(f"experience lies in InfluxDB at {settings.influx.url}: {instead}")

"""Mines a tenant's experience as the settings say, and keeps what was found. Called by `aos mine` and on a schedule.

Mining a million tasks takes a core for most of a minute, so the evolution role gives it a process of its own, which
also gives the memory back.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import time
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

from agents.errors import BusUnavailable
from evolution.errors import EvolutionError
from evolution.mining.digest import DigestFolder
from evolution.mining.miner import Miner, Report, Window
from evolution.mining.sources import MiningSource, RecordSource, SqliteSource
from evolution.ports import ExperienceQuery
from evolution.progress import Progress, unseen
from evolution.rules.keeping import Patterns, Rules
from evolution.rules.making import AutomaticRules
from evolution.store.moments import microseconds
from evolution.tiers.cold_files import ColdFiles
from evolution.whole_file import whole_file
from evolution.wiring import build_store
from gateway.experience_desk import finish_forgetting
from gateway.experience_store import store_settings
from gateway.foundation import Bus, object_store, open_bus, open_unused
from gateway.keeping.forgetting import Forgetting
from gateway.log_lines import configure_logging
from gateway.settings import Settings
from schemas.base import now
from tensor_layer.errors import BlobStoreUnavailable

logger = logging.getLogger(__name__)

LOOK_S = 0.5


def mine(
    settings: Settings,
    tenant: str,
    since: datetime,
    until: datetime | None = None,
    *,
    afresh: bool = False,
    progress: Progress = unseen,
) -> Report:
    """The patterns of a tenant's experience of that time. For a thread of its own.

    Reads only what is new since the last run. Raises MiningBusy, MiningStateUnusable, ExperienceStoreUnavailable.
    """
    moment = now()
    keep = min(moment - timedelta(days=settings.mining.keep_days), since)
    span = Window(microseconds(since), microseconds(until or moment) + (until is None), microseconds(keep))
    embedded = settings.influx.url is None
    source = _embedded(settings) if embedded else asyncio.run(_records(settings, tenant, keep))
    folder = DigestFolder(settings.mining_dir / tenant)
    # What is sealed in the store must not lie open on the bus.
    quote = settings.mining.quote and settings.experience.key_file is None
    miner = Miner(source, folder, tenant, quote=quote, progress=progress)
    return miner.mine(span, afresh=afresh or not embedded)


def _embedded(settings: Settings) -> MiningSource:
    return SqliteSource(settings.experience_file, ColdFiles(*object_store(settings)))


async def _records(settings: Settings, tenant: str, since: datetime) -> MiningSource:
    """All records of a store that cannot be read by column."""
    store = build_store(store_settings(settings, read_only=True))
    try:
        return await RecordSource.of(store.scan(ExperienceQuery(tenant=tenant, since=since)))
    finally:
        await store.close()


def automatic_rules(settings: Settings) -> AutomaticRules:
    """Which patterns become rules by themselves."""
    mining = settings.mining
    return AutomaticRules(
        mining.automatic_rules, mining.automatic_confidence, mining.automatic_lift, mining.automatic_support
    )


async def mine_on_schedule(settings: Settings, stop: asyncio.Event) -> None:
    """Mine all tenants every ``mining.every_s`` until ``stop`` is set; a run under way is ended then."""
    while settings.mining.every_s > 0 and not stop.is_set():
        await _pause(stop, settings.mining.every_s)
        if not stop.is_set():
            await _in_process_of_its_own(settings, stop)


async def _in_process_of_its_own(settings: Settings, stop: asyncio.Event) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_mine_all, args=(settings,), daemon=True)
    started = time.monotonic()
    await asyncio.to_thread(process.start)
    while process.is_alive():
        await _pause(stop, LOOK_S)
        if stop.is_set():
            process.terminate()
            await asyncio.to_thread(process.join)
    logger.info("mining took %.1f s and ended with %s", time.monotonic() - started, process.exitcode)
    process.close()


def _mine_all(settings: Settings) -> None:
    configure_logging("mining", settings.log_level)
    asyncio.run(mine_and_keep_all(settings))


async def mine_and_keep_all(settings: Settings) -> None:
    """Mine every tenant that has experience; one that fails does not keep the others from it."""
    window = timedelta(days=settings.mining.window_days)
    store = build_store(store_settings(settings, read_only=True))
    try:
        tenants = await store.tenants()
    except EvolutionError as error:
        logger.warning("nothing is mined: %s", error)
        return
    finally:
        await store.close()
    async with open_bus(settings, "aos-mining") as bus:
        for tenant in tenants:
            try:
                report = await asyncio.to_thread(mine, settings, tenant, now() - window)
                await Patterns(bus.js).replace(tenant, report.patterns)
                await _finish_forgetting(settings, tenant, bus, report.unfinished)
                changed = await Rules(bus.js).follow(tenant, report.patterns, automatic_rules(settings))
            except (EvolutionError, BusUnavailable, BlobStoreUnavailable) as error:
                logger.warning("tenant %s is not mined: %s", tenant, error)
                continue
            logger.info("tenant %s: %d tasks, %d patterns", tenant, report.tasks, len(report.patterns))
            if changed is not None:
                logger.info("tenant %s has %d routing rules now", tenant, len(changed.rules))


async def _finish_forgetting(settings: Settings, tenant: str, bus: Bus, tasks: Collection[str]) -> None:
    """What an earlier run left of these tasks. Raises BusUnavailable, BlobStoreUnavailable, EvolutionError."""
    if not tasks:
        return
    forgot = await Forgetting(bus.nc, bus.js, open_unused(settings)).forget(tenant, tasks)
    ended = set(tasks).difference(forgot.under_way)
    await asyncio.to_thread(finish_forgetting, settings, tenant, ended)
    logger.info("tenant %s: what an earlier run began to forget of %d tasks is gone now", tenant, len(ended))


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


async def write_graph(
    settings: Settings, tenant: str, since: datetime, until: datetime | None, path: str, most: int
) -> tuple[int, int]:
    """Write the similarity graph of at most ``most`` tasks as GraphML; answers its nodes and edges. Raises OSError."""
    import networkx  # lazy: only this command draws
    import numpy as np

    from evolution.mining.similarity import PastTask, similarity_graph
    from evolution.validity import task_vector

    store = build_store(store_settings(settings, read_only=True))
    tasks: list[PastTask] = []
    vectors: list[np.ndarray] = []
    try:
        query = ExperienceQuery(tenant=tenant, since=since, until=until, limit=most)
        for record in reversed(await store.find(query)):
            vector = task_vector(record)
            if vector is not None and (not vectors or vector.shape == vectors[0].shape):
                tasks.append(PastTask(record.task_id, record.at, record.success, ">".join(record.chosen)))
                vectors.append(vector)
    finally:
        await store.close()
    graph = await asyncio.to_thread(similarity_graph, tasks, np.array(vectors, dtype=np.float32))
    with whole_file(Path(path)) as partial:
        await asyncio.to_thread(networkx.write_graphml, graph, str(partial))
    return graph.number_of_nodes(), graph.number_of_edges()

"""The evolution role mines by itself, in a process of its own, and rules follow when the settings say so."""

import asyncio

import numpy as np

from evolution.rules.keeping import Patterns, Rules
from evolution.store.sqlite_store import SqliteExperienceStore
from gateway.mining_desk import mine_on_schedule
from gateway.settings import load
from schemas.base import now
from tests.unit.evolution.experience_records import a_record


async def filled(path):
    """Two tenants; of one of them, one agent fails at pictures and nobody else does."""
    rng = np.random.default_rng(1)
    records = []
    for number in range(400):
        agent, modality = f"a{rng.integers(4)}", ("image", "text")[int(rng.integers(2))]
        bad = agent == "a1" and modality == "image"
        success = bool(rng.random() < (0.05 if bad else 0.97))
        values = {"chosen": (agent,), "modalities": (modality,), "success": success, "vector": None}
        records.append(a_record(f"t{number}", at=now(), candidates=(), network=None, steps=(), **values))
    store = SqliteExperienceStore(path)
    await store.record([*records, *(r.model_copy(update={"tenant": "quiet"}) for r in records[:20])])
    await store.close()


async def test_scheduled_mining_keeps_patterns_and_makes_the_rules_that_are_wanted(js, nats_server, tmp_path):
    environ = {
        "AOS_DATA_DIR": str(tmp_path / "data"),
        "AOS_NATS_URL": nats_server.url,
        "AOS_BUS__QUOTA_SCALE": "0.05",
        "AOS_MINING__EVERY_S": "0.05",
        "AOS_MINING__AUTOMATIC_RULES": "true",
        "AOS_MINING__AUTOMATIC_SUPPORT": "20",
    }
    settings = load(environ).settings
    await filled(settings.experience_file)
    stop = asyncio.Event()
    mining = asyncio.create_task(mine_on_schedule(settings, stop))
    try:
        async with asyncio.timeout(150):
            while not (rules := (await Rules(js).read("default")).rules.rules):
                await asyncio.sleep(0.2)
    finally:
        stop.set()
        await mining
    [rule] = rules
    assert (rule.agents, [m.value for m in rule.modalities], rule.automatic) == (("a1",), ["image"], True)
    assert rule.pattern_id in {pattern.pattern_id for pattern in await Patterns(js).all("default")}
    assert (await Rules(js).read("quiet")).rules.rules == ()

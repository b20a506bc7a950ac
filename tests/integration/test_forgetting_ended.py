"""Forgetting that is ended on the way, by a kill or by a bus that does not answer: whoever comes next finishes it."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import pytest

from evolution.errors import MiningBusy
from evolution.mining.digest import DigestFolder
from evolution.rules.keeping import Patterns
from evolution.store.sqlite_store import SqliteExperienceStore
from gateway import experience_desk
from gateway.auditions.keeping import Auditions
from gateway.mining_desk import mine_and_keep_all
from gateway.settings import load
from schemas.audition import AUDITION_OF, Audition
from schemas.base import now
from tests.unit.evolution.experience_records import a_record

ANNS = {"t0", "t7", "t8"}
AOS = [sys.executable, "-m", "gateway.cli.main"]
HANGS_BETWEEN = """
import runpy, signal, sys
from evolution.mining.digest import DigestFolder

def hang(*_):
    print("the records are gone", flush=True)
    signal.pause()

DigestFolder.forget = hang
sys.argv[1:] = ["experience", "forget", "--subject", "ann"]
runpy.run_module("gateway.cli.main", run_name="__main__")
"""


@pytest.fixture
async def settings(js, nats_server, tmp_path, monkeypatch):
    """Of a stack with nine mined tasks, three of them Ann's; an agent was auditioned with one of those."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(each for each in sys.path if each))
    monkeypatch.setenv("AOS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("AOS_NATS_URL", nats_server.url)
    settings = load(os.environ).settings
    store = SqliteExperienceStore(settings.experience_file)
    records = [a_record(f"t{n}", at=now(), labels={"subject": "ann"} if f"t{n}" in ANNS else {}) for n in range(9)]
    await store.record(records)
    await store.close()
    answer = a_record("answered", labels={AUDITION_OF: "t7"})
    await Auditions(js).write(Audition(tenant="default", agent_id="new", wanted=1, records=(answer,)), 0)
    await mine_and_keep_all(settings)
    assert mined(settings) >= ANNS
    return settings


def mined(settings):
    digest = DigestFolder(settings.mining_dir / "default")
    return set(digest.load(digest.state(), 0, 2**62)["task_id"].to_pylist())


def unfinished(settings):
    return DigestFolder(settings.mining_dir / "default").unfinished.tasks()


async def named(js):
    """Tasks that patterns and auditions name."""
    patterns = {task for pattern in await Patterns(js).all("default") for task in pattern.examples}
    held = await Auditions(js).all("default")
    return patterns | {record.labels[AUDITION_OF] for one in held for record in one.audition.records}


async def recorded(settings):
    store = SqliteExperienceStore(settings.experience_file, read_only=True)
    try:
        return await store.count()
    finally:
        await store.close()


async def killed_between(settings):
    """`aos experience forget`, killed once the records are gone and before mining's digest is looked into."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", HANGS_BETWEEN, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"the records are gone\n"
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    assert (await recorded(settings), ANNS & mined(settings)) == (6, ANNS)


def forgets_ann(settings):
    done = subprocess.run(
        [*AOS, "experience", "forget", "--subject", "ann", "--json"], capture_output=True, timeout=120, check=True
    )
    return json.loads(done.stdout)


async def test_the_next_run_removes_what_a_killed_one_left(js, settings):
    await killed_between(settings)
    gone = forgets_ann(settings)
    assert (set(gone["tasks"]), gone["records"], gone["auditions"]) == (ANNS, 0, 1)
    assert not ANNS & mined(settings)
    assert not ANNS & await named(js)
    assert not unfinished(settings)


async def test_mining_removes_what_a_killed_run_left(js, settings):
    await killed_between(settings)
    await mine_and_keep_all(settings)
    assert len(mined(settings)) == 6
    assert not ANNS & await named(js)
    assert not unfinished(settings)


async def test_a_bus_that_does_not_answer_is_looked_into_by_the_next_run(js, settings, monkeypatch, nats_server):
    monkeypatch.setenv("AOS_NATS_URL", "nats://127.0.0.1:9")
    assert forgets_ann(settings)["patterns"] is None
    assert not ANNS & mined(settings)
    assert ANNS & await named(js)
    monkeypatch.setenv("AOS_NATS_URL", nats_server.url)
    assert forgets_ann(settings)["auditions"] == 1
    assert not ANNS & await named(js)
    assert not unfinished(settings)


async def test_while_somebody_mines_nothing_is_half_forgotten(settings, monkeypatch):
    monkeypatch.setattr("gateway.experience_desk.PATIENCE_S", 0.0)
    with DigestFolder(settings.mining_dir / "default").locked(), pytest.raises(MiningBusy):
        experience_desk.forget(settings, "default", subject="ann")
    assert await recorded(settings) == 9

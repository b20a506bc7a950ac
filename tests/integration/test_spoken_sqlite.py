"""Of which tasks something was said since, in the embedded file: over restarts, other processes and removals."""

import asyncio
import shutil
import subprocess
import sys

import pytest

from evolution.errors import StoreMissing
from evolution.privacy.guard import Guard
from evolution.privacy.keys import KeyRing
from evolution.store.sqlite_store import SqliteExperienceStore
from evolution.tiers.forgetting import forget
from evolution.tiers.sealing import renew
from tests.unit.evolution.experience_records import a_feedback, a_record, said_of

SPEAKER = """
import asyncio, sys
from pathlib import Path
from evolution.store.sqlite_store import SqliteExperienceStore
from tests.unit.evolution.experience_records import a_feedback

async def main():
    store = SqliteExperienceStore(Path(sys.argv[1]))
    await store.add_feedback([a_feedback(sys.argv[2], minutes=-99)])
    await store.close()

asyncio.run(main())
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "experience.db"


@pytest.fixture
async def store(path):
    opened = SqliteExperienceStore(path)
    await opened.record([a_record(task) for task in "abc"])
    await opened.add_feedback([a_feedback(task) for task in ("a", "b", "b", "c")])
    yield opened
    await opened.close()


async def begun(store, tenant="default") -> str:
    return (await store.spoken_of(tenant, None)).cursor


async def test_a_cursor_is_good_over_restarts_and_for_what_other_processes_store(store, path):
    cursor = await begun(store)
    await store.close()
    command = [sys.executable, "-c", SPEAKER, str(path), "a"]
    await asyncio.to_thread(subprocess.run, command, check=True, timeout=60)
    again = SqliteExperienceStore(path)
    found = await again.spoken_of("default", cursor)
    assert found.task_ids == {"a"}
    assert (await again.spoken_of("default", found.cursor)).task_ids == frozenset()
    await again.close()


async def test_a_store_for_reading_only_tells_it_too(store, path, tmp_path):
    reader = SqliteExperienceStore(path, read_only=True)
    cursor = await begun(reader)
    await store.add_feedback([a_feedback("c")])
    assert (await reader.spoken_of("default", cursor)).task_ids == {"c"}
    await reader.close()
    missing = SqliteExperienceStore(tmp_path / "nowhere.db", read_only=True)
    with pytest.raises(StoreMissing):
        await missing.spoken_of("default", cursor)
    await missing.close()


@pytest.mark.parametrize("whom", [{"task": "a"}, {"task": "c"}, {"subject": "ann"}], ids=["first", "last", "a person"])
async def test_once_feedback_was_removed_all_tasks_are_to_be_asked_and_then_only_new_ones(store, path, cold, whom):
    await store.add_feedback([a_feedback("b", actor="ann"), a_feedback("c")])
    cursor = await begun(store)
    assert forget(path, cold, "default", **whom).feedback > 0
    # As many come as were removed: the numbers still tell.
    await store.add_feedback([a_feedback("b"), a_feedback("b")])
    found = await store.spoken_of("default", cursor)
    assert found.task_ids is None
    await store.add_feedback([a_feedback("c")])
    assert (await store.spoken_of("default", found.cursor)).task_ids == {"c"}


async def test_all_feedback_may_be_removed_and_begin_anew(store, path, cold):
    cursor = await begun(store)
    for task in "abc":
        forget(path, cold, "default", task=task)
    empty = await store.spoken_of("default", cursor)
    assert empty.task_ids is None
    assert (await store.spoken_of("default", empty.cursor)).task_ids == frozenset()
    await store.add_feedback([a_feedback("d")])
    assert (await store.spoken_of("default", empty.cursor)).task_ids == {"d"}


async def test_forgetting_a_task_that_nobody_spoke_of_is_no_removal(store, path, cold):
    cursor = await begun(store)
    await store.record([a_record("unspoken")])
    assert forget(path, cold, "default", task="unspoken").records == 1
    assert (await store.spoken_of("default", cursor)).task_ids == frozenset()


async def test_new_keys_change_nothing_of_what_was_said_when(path, cold, tmp_path):
    keys = KeyRing(tmp_path / "keys")
    keys.add("*")
    store = SqliteExperienceStore(path, guard=Guard(keys))
    await store.add_feedback([a_feedback("a"), a_feedback("b")])
    cursor = await begun(store)
    keys.add("default")
    assert renew(path, cold, keys, "default") == 2
    keys.keep_newest("default")
    late = a_feedback("b", minutes=-5)
    await store.add_feedback([late])
    assert (await store.spoken_of("default", cursor)).task_ids == {"b"}
    assert late in await said_of(store, "default", "b")
    await store.close()


@pytest.mark.parametrize("said_since", [1, 2, 3])
async def test_a_file_that_was_restored_from_an_older_copy_is_another_one(store, path, tmp_path, said_since):
    await store.close()
    shutil.copy(path, tmp_path / "copy.db")
    store = SqliteExperienceStore(path)
    await store.add_feedback([a_feedback("a"), a_feedback("b")])
    cursor = await begun(store)
    await store.close()
    shutil.copy(tmp_path / "copy.db", path)
    restored = SqliteExperienceStore(path)
    await restored.add_feedback([a_feedback("c") for _ in range(said_since)])
    assert (await restored.spoken_of("default", cursor)).task_ids is None
    await restored.close()

"""Which records were stored since, in the embedded file: over restarts, removals, and what moves to the cold tier."""

import asyncio

import pytest

from evolution.store.moments import microseconds
from evolution.store.sqlite_store import SqliteExperienceStore
from evolution.tiers.compaction import compact
from evolution.tiers.forgetting import forget
from evolution.tiers.tiered_store import TieredStore
from tests.unit.evolution.experience_records import MOMENT, a_record


@pytest.fixture
def path(tmp_path):
    return tmp_path / "experience.db"


@pytest.fixture
async def store(path, cold):
    opened = TieredStore(SqliteExperienceStore(path), path, cold)
    await opened.record([a_record(task) for task in "abc"])
    yield opened
    await opened.close()


async def since(store, cursor, tenant="default"):
    found = await store.recorded_since(tenant, cursor)
    return found.cursor, None if found.records is None else [record.task_id for record in found.records]


async def test_what_was_stored_since_is_told_once_in_that_order_whatever_its_moment(store, path):
    cursor, told = await since(store, None)
    assert told is None
    await store.record([a_record("late", minutes=-99), a_record("a"), a_record("others", tenant="other")])
    await store.record([a_record("ahead", minutes=5)])
    again = SqliteExperienceStore(path)
    here, told = await since(again, cursor)
    assert told == ["late", "ahead"]
    assert (await since(again, cursor, "other"))[1] == ["others"]
    assert (await since(again, here))[1] == []
    await again.close()


async def test_where_rows_went_everything_is_to_be_read(store, path, cold):
    cursor, _ = await since(store, None)
    forget(path, cold, "default", task="b")
    cursor, told = await since(store, cursor)
    assert told is None
    await store.record([a_record("d")])
    cursor, told = await since(store, cursor)
    assert told == ["d"]
    compact(path, cold, hot_until_us=microseconds(MOMENT) + 1, cold_until_us=0)
    assert (await since(store, cursor))[1] is None


@pytest.mark.parametrize("cursor", ["", "else.where.9", "sqlite.1.x.y", "sqlite.3.7.f", "memory.x.0"])
async def test_of_a_cursor_that_this_store_never_gave_nothing_is_told(store, cursor):
    assert (await since(store, cursor))[1] is None


async def test_who_looks_again_and_again_while_many_write_misses_nothing(store):
    cursor, _ = await since(store, None)
    records = [a_record(f"t{n}", minutes=-n) for n in range(40)]
    writing = asyncio.gather(*(store.record([one]) for one in records))
    seen = []
    while not writing.done():
        cursor, told = await since(store, cursor)
        seen += told
    assert await writing == [1] * 40
    seen += (await since(store, cursor))[1]
    assert sorted(seen) == sorted(record.task_id for record in records)

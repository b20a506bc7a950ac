"""Processes that compact, forget and seal anew at once: none undoes, doubles or hides what another one did."""

import sqlite3
from datetime import timedelta

import pytest

from evolution.errors import ColdTierUnavailable, ExperienceStoreUnavailable
from evolution.mining.sources import SqliteSource
from evolution.ports import ExperienceQuery
from evolution.privacy.guard import Guard
from evolution.privacy.keys import KeyRing
from evolution.store import sqlite_schema
from evolution.store.moments import microseconds
from evolution.store.sqlite_store import SqliteExperienceStore
from evolution.tiers import cold_names
from evolution.tiers.cold_files import ColdFiles
from evolution.tiers.compaction import compact
from evolution.tiers.forgetting import forget
from evolution.tiers.sealing import renew
from evolution.tiers.tiered_store import TieredStore
from tests.unit.evolution.experience_records import MOMENT, a_feedback, a_record, said_of

QUERY = ExperienceQuery(tenant="default")
HOT_UNTIL_US = microseconds(MOMENT - timedelta(days=7))


class Meanwhile(ColdFiles):
    """At its first ``put`` or ``get`` something else happens, before the file is written or read."""

    def __init__(self, url, *, at, act):
        super().__init__(url)
        self._at, self._act = at, act

    def put(self, key, content):
        self._once("put")
        return super().put(key, content)

    def get(self, file):
        self._once("get")
        return super().get(file)

    def _once(self, what):
        if what == self._at:
            self._at = None
            self._act()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "experience.db"


@pytest.fixture
def url(tmp_path):
    return (tmp_path / "objects").as_uri()


@pytest.fixture
def cold(url):
    return ColdFiles(url)


@pytest.fixture
async def store(path, cold):
    store = TieredStore(SqliteExperienceStore(path), path, cold)
    await store.record([old("a"), old("b"), old("c", labels={"subject": "ann"}), a_record("hot")])
    yield store
    await store.close()


def old(name, days=10, **changes):
    return a_record(name, minutes=-days * 24 * 60, **changes)


def compacted(path, cold):
    return compact(path, cold, hot_until_us=HOT_UNTIL_US, cold_until_us=0)


def files_of(tmp_path):
    return sorted((tmp_path / "objects").rglob("*.parquet"))


def hours(path):
    with sqlite3.connect(path) as connection:
        return connection.execute("SELECT sum(tasks) FROM hourly WHERE agent_id = ''").fetchone()[0]


async def names(store):
    return sorted([record.record_id async for records in store.scan(QUERY, 2) for record in records])


async def test_two_that_compact_at_once_move_and_count_each_record_once(store, path, url, cold, tmp_path):
    other = []
    first = compacted(path, Meanwhile(url, at="put", act=lambda: other.append(compacted(path, cold))))
    assert (first.moved, other[0].moved) == (0, 3)
    assert await store.count() == 4
    assert hours(path) == 3
    assert len(files_of(tmp_path)) == 1


async def test_what_is_forgotten_while_it_is_being_moved_stays_forgotten(store, path, url, cold, tmp_path):
    done = compacted(path, Meanwhile(url, at="put", act=lambda: forget(path, cold, "default", subject="ann")))
    assert done.moved == 2
    assert await names(store) == ["a", "b", "hot"]
    assert await store.count() == 3
    assert len(files_of(tmp_path)) == 1


async def test_what_is_moved_while_it_is_being_forgotten_is_forgotten(store, path, url, cold):
    compacted(path, cold)
    await store.record([old("late", days=20, labels={"subject": "ann"})])
    forget(path, Meanwhile(url, at="get", act=lambda: compacted(path, cold)), "default", subject="ann")
    assert await names(store) == ["a", "b", "hot"]


async def test_a_text_that_is_sealed_anew_while_it_is_being_moved_is_read_by_the_new_key(path, url, cold, tmp_path):
    keys = KeyRing(tmp_path / "keys")
    keys.add("default")
    store = TieredStore(SqliteExperienceStore(path, guard=Guard(keys)), path, cold, Guard(keys))
    await store.record([old("a", instruction="one"), old("b", instruction="two")])

    def rotate():
        keys.add("default")
        renew(path, cold, keys, "default")
        keys.keep_newest("default")

    compacted(path, Meanwhile(url, at="put", act=rotate))
    assert [record.instruction for record in await store.find(QUERY)] == ["two", "one"]
    await store.close()


async def test_forgetting_and_sealing_anew_at_once_keep_each_record_once(store, path, url, cold, tmp_path):
    keys = KeyRing(tmp_path / "keys")
    keys.add("default")
    compacted(path, cold)
    seals = Meanwhile(url, at="put", act=lambda: renew(path, cold, keys, "default"))
    gone = forget(path, seals, "default", subject="ann")
    assert (gone.tasks, gone.records, gone.unread) == (("c",), 1, ())
    forgets = Meanwhile(url, at="get", act=lambda: forget(path, cold, "default", task="a"))
    assert renew(path, forgets, keys, "default") == 2
    assert await store.count() == 2
    assert len(files_of(tmp_path)) == 1


async def test_what_was_said_of_a_task_goes_with_its_record_or_not_at_all(store, path, url, cold):
    await store.add_feedback([a_feedback("c", actor="bob")])
    compacted(path, cold)

    def killed():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        forget(path, Meanwhile(url, at="put", act=killed), "default", subject="ann")
    assert "c" in await names(store)
    assert forget(path, cold, "default", subject="ann").feedback == 1
    assert await said_of(store, "default", "c") == []


async def test_a_file_that_a_killed_process_left_behind_is_removed_by_the_next(
    store, path, cold, tmp_path, monkeypatch
):
    with monkeypatch.context() as patched:

        def killed(*_steps):
            raise KeyboardInterrupt

        patched.setattr("evolution.tiers.compaction.transaction", killed)
        with pytest.raises(KeyboardInterrupt):
            compacted(path, cold)
    [left] = files_of(tmp_path)
    begun = left.with_name(f"{left.name}#1")  # as the object store calls a file that it is still writing
    begun.write_bytes(left.read_bytes()[:100])
    assert compacted(path, cold).moved == 3
    assert left.exists()  # somebody may be at it still
    monkeypatch.setattr(cold_names, "ABANDONED_AFTER_S", -60.0)
    compacted(path, cold)
    assert not left.exists()
    assert not begun.exists()
    assert await names(store) == ["a", "b", "c", "hot"]


async def test_a_file_that_could_not_be_removed_is_said_and_removed_later(store, path, cold, tmp_path, monkeypatch):
    compacted(path, cold)
    with monkeypatch.context() as patched:

        def refused(_self, key):
            raise ColdTierUnavailable(f"{key} cannot be removed")

        patched.setattr(ColdFiles, "delete", refused)
        gone = forget(path, cold, "default", subject="ann")
    assert len(gone.left) == 1
    assert len(files_of(tmp_path)) == 2
    assert await names(store) == ["a", "b", "hot"]
    compacted(path, cold)
    assert len(files_of(tmp_path)) == 1
    assert gone.left[0] not in str(files_of(tmp_path))


async def test_mining_reads_what_is_moved_while_it_reads(store, path, url, cold, monkeypatch):
    monkeypatch.setattr(sqlite_schema, "BUSY_TIMEOUT_S", 0.05)  # the log cannot be cut off while mining reads
    await store.record([old("cold", days=30)])
    compact(path, cold, hot_until_us=microseconds(MOMENT - timedelta(days=20)), cold_until_us=0)
    source = SqliteSource(path, Meanwhile(url, at="get", act=lambda: compacted(path, cold)))
    read = [task for rows in source.rows("default", 0, 0) for task in rows.values["task_id"]]
    assert sorted(read) == ["a", "b", "c", "cold", "hot"]


@pytest.mark.parametrize("read", ["rows", "sample"])
async def test_mining_reads_what_is_sealed_anew_while_it_reads(store, path, url, cold, tmp_path, monkeypatch, read):
    monkeypatch.setattr(sqlite_schema, "BUSY_TIMEOUT_S", 0.05)
    keys = KeyRing(tmp_path / "keys")
    keys.add("default")
    compacted(path, cold)
    source = SqliteSource(path, Meanwhile(url, at="get", act=lambda: renew(path, cold, keys, "default")))
    if read == "rows":
        found = sorted(task for rows in source.rows("default", 0, 0) for task in rows.values["task_id"])
        assert found == ["a", "b", "c", "hot"]
    else:
        assert len(source.sample("default", 0, 10, seed=0)) == 4


async def test_mining_ends_where_a_file_that_it_has_listed_is_no_more(store, path, url, cold, tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite_schema, "BUSY_TIMEOUT_S", 0.05)
    compacted(path, cold)
    source = SqliteSource(path, Meanwhile(url, at="get", act=lambda: forget(path, cold, "default", task="a")))
    with pytest.raises(ExperienceStoreUnavailable, match="mine again"):
        list(source.rows("default", 0, 0))


async def test_an_export_misses_nothing_that_is_moved_while_it_reads(path, url, cold):
    hot = SqliteExperienceStore(path)
    records = [old(f"r{day:02d}", days=day) for day in range(30, 0, -1)]
    await hot.record(records)
    compact(path, cold, hot_until_us=microseconds(MOMENT - timedelta(days=25)), cold_until_us=0)
    for at_batch in range(12):
        store = TieredStore(hot, path, cold)
        read, batches = [], 0
        async for batch in store.scan(QUERY, 2):
            read += [record.record_id for record in batch]
            batches += 1
            if batches == at_batch:
                until = MOMENT - timedelta(days=24 - at_batch)
                compact(path, cold, hot_until_us=microseconds(until), cold_until_us=0)
        assert read == [record.record_id for record in records]
    await hot.close()


async def test_an_export_goes_on_where_a_file_is_replaced_while_it_reads(store, path, url, cold):
    compacted(path, cold)
    forgets = Meanwhile(url, at="get", act=lambda: forget(path, cold, "default", subject="ann"))
    assert await names(TieredStore(SqliteExperienceStore(path), path, forgets)) == ["a", "b", "hot"]

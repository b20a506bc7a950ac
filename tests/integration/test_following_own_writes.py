"""Who follows the store gets from memory what this process just wrote, and it is what a reader of the file gets."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from evolution.errors import ExperienceStoreUnavailable
from evolution.ports import ExperienceQuery
from evolution.privacy.guard import Guard
from evolution.privacy.keys import KeyRing
from evolution.privacy.redaction import Redaction
from evolution.store import latest, sqlite_rows, sqlite_store
from evolution.store.sqlite_store import SqliteExperienceStore
from schemas.experience import ExperienceRecord
from tests.unit.evolution.experience_records import MOMENT, a_record

EVER = ExperienceQuery(since=MOMENT)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "experience.db"


@pytest.fixture
def reads(monkeypatch) -> list[object]:
    """Every row that is read from a file as a record."""
    found: list[object] = []
    plain = sqlite_rows.read

    def read(row, guard):
        found.append(row)
        return plain(row, guard)

    monkeypatch.setattr(sqlite_rows, "read", read)
    return found


async def following(store: SqliteExperienceStore) -> tuple[AsyncIterator[ExperienceRecord], ExperienceRecord]:
    """A follower that got a first record, which nobody could have kept for it."""
    tail = store.tail(EVER)
    await store.record([a_record("first")])
    return tail, await anext(tail)


async def as_stored(path: Path, guard: Guard) -> list[ExperienceRecord]:
    store = SqliteExperienceStore(path, read_only=True, guard=guard)
    found = [record async for batch in store.scan(EVER) for record in batch]
    await store.close()
    return found


async def test_what_was_just_written_is_what_a_reader_of_the_file_gets(path, tmp_path, reads):
    keys = KeyRing(tmp_path / "keys")
    keys.add("acme")
    guard = Guard(keys, Redaction([r"Rechnung"]))
    store = SqliteExperienceStore(path, guard=guard)
    tail, first = await following(store)
    async with aclosing(tail):
        reads.clear()
        kinds = ({}, {"tenant": "acme"}, {"vector": None}, {"latency_ms": 0.1 + 0.2, "labels": {"a": "b"}})
        new = [a_record(f"t{number}", minutes=number + 1, **kind) for number, kind in enumerate(kinds)]
        new.append(a_record("alone", minutes=9).model_copy(update={"chosen": (), "network": None}))
        assert await store.record(new) == len(new)
        told = [await anext(tail) for _ in new]
        assert reads == []
        assert [first, *told] == await as_stored(path, guard)
        assert "[redacted]" in told[1].instruction
    await store.close()


async def test_others_writes_come_in_between_in_the_order_of_storing(path):
    store, other = SqliteExperienceStore(path), SqliteExperienceStore(path)
    tail, _ = await following(store)
    async with aclosing(tail):
        for number in range(6):
            await (store, other)[number % 2].record([a_record(f"t{number}", minutes=number)])
        await store.record([a_record("t1"), a_record("t6")])
        assert [(await anext(tail)).record_id for _ in range(7)] == [f"t{number}" for number in range(7)]
    await store.close()
    await other.close()


async def test_who_is_far_behind_reads_the_file(path, reads):
    store = SqliteExperienceStore(path)
    tail, _ = await following(store)
    async with aclosing(tail):
        reads.clear()
        names = [f"t{number}" for number in range(latest.MOST + sqlite_store.TAIL_BATCH_ROWS)]
        await store.record([a_record(name) for name in names])
        assert [(await anext(tail)).record_id for _ in names] == names
        assert 0 < len(reads) < len(names)
    await store.close()


async def test_what_was_taken_away_before_it_was_told_is_not_told(path):
    store = SqliteExperienceStore(path)
    tail, _ = await following(store)
    async with aclosing(tail):
        await store.record([a_record("gone"), a_record("stays")])
        with sqlite3.connect(path) as connection:
            connection.execute("DELETE FROM experience WHERE record_id = 'gone'")
        connection.close()
        assert (await anext(tail)).record_id == "stays"
    await store.close()


async def test_a_number_that_was_given_anew_is_told_as_what_is_there_now(path):
    store = SqliteExperienceStore(path)
    tail, _ = await following(store)
    async with aclosing(tail):
        await store.record([a_record("before")])
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE experience SET record_id = 'now' WHERE seq = 2")
            connection.execute("UPDATE experience SET record = replace(record, 'before', 'now') WHERE seq = 2")
        connection.close()
        assert (await anext(tail)).record_id == "now"
    await store.close()


async def test_a_write_that_failed_is_not_told(path, monkeypatch):
    store = SqliteExperienceStore(path)
    tail, _ = await following(store)
    async with aclosing(tail):

        def broken(connection, items):
            inserted = plain(connection, items)
            raise sqlite3.OperationalError(f"disk I/O error after {inserted.new}")

        plain = sqlite_store.insert
        monkeypatch.setattr(sqlite_store, "insert", broken)
        with pytest.raises(ExperienceStoreUnavailable):
            await store.record([a_record("lost")])
        monkeypatch.setattr(sqlite_store, "insert", plain)
        await store.record([a_record("kept")])
        assert (await anext(tail)).record_id == "kept"
    await store.close()

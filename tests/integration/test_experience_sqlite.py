"""The embedded store on a real disk: other processes, kills, a full disk, a damaged file, an older and a newer one."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from evolution.errors import ExperienceStoreUnavailable
from evolution.ports import ExperienceQuery
from evolution.store import sqlite_schema
from evolution.store.sqlite_store import SqliteExperienceStore
from tests.unit.evolution.experience_records import MOMENT, a_feedback, a_record, said_of

ALL = ExperienceQuery()

WRITER = """
import asyncio, sys
from pathlib import Path
from evolution.store.sqlite_store import SqliteExperienceStore
from tests.unit.evolution.experience_records import a_record

async def main():
    store = SqliteExperienceStore(Path(sys.argv[1]))
    number = 0
    while number < int(sys.argv[2]):
        await store.record([a_record(f"{sys.argv[3]}-{number}", minutes=number)])
        print(number, flush=True)
        number += 1
    await store.close()

asyncio.run(main())
"""


def writing(path: Path, count: int, name: str) -> subprocess.Popen[str]:
    """Another process that writes ``count`` records one by one, saying each number once it is durable."""
    command = [sys.executable, "-c", WRITER, str(path), str(count), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "experience.db"


async def test_everything_is_there_after_closing_and_opening_again(path):
    store = SqliteExperienceStore(path)
    record, feedback = a_record("t"), a_feedback("t")
    await store.record([record])
    await store.add_feedback([feedback])
    await store.close()
    again = SqliteExperienceStore(path)
    assert await again.find(ALL) == [record]
    assert await said_of(again, "default", "t") == [feedback]
    await again.close()


async def test_what_was_returned_survives_a_kill_of_the_writer(path):
    process = writing(path, 100_000, "w")
    said = [await asyncio.to_thread(process.stdout.readline) for _ in range(20)]
    os.kill(process.pid, signal.SIGKILL)
    rest = await asyncio.to_thread(process.stdout.read)
    process.wait()
    durable = int((said + rest.split())[-1])
    store = SqliteExperienceStore(path)
    kept = {record.record_id for record in await store.find(ExperienceQuery(limit=200_000))}
    assert {f"w-{number}" for number in range(durable + 1)} <= kept
    assert await store.record([a_record("after")]) == 1
    await store.close()


async def test_tail_follows_another_process_and_reading_does_not_stop_its_writing(path):
    store = SqliteExperienceStore(path)
    process = writing(path, 30, "w")
    async with aclosing(store.tail(ExperienceQuery(since=MOMENT))) as tail, asyncio.timeout(60):
        seen = [(await anext(tail)).record_id for _ in range(30)]
    assert seen == [f"w-{number}" for number in range(30)]
    assert await asyncio.to_thread(process.wait) == 0
    process.stdout.close()
    await store.close()


async def test_two_processes_may_write_and_nothing_is_lost_or_doubled(path):
    writers = [writing(path, 25, "same") for _ in range(2)] + [writing(path, 25, "other")]
    for process in writers:
        await asyncio.to_thread(process.communicate)
        assert process.returncode == 0
    store = SqliteExperienceStore(path)
    assert await store.count() == 50
    await store.close()


async def test_a_reader_before_the_first_writer_is_told_that_there_is_no_store_yet(path):
    reader = SqliteExperienceStore(path, read_only=True)
    with pytest.raises(ExperienceStoreUnavailable, match="no experience store at"):
        await reader.count()
    assert not path.exists()
    await reader.close()


async def test_a_reader_sees_what_a_writer_stores_and_cannot_write(path):
    writer, reader = SqliteExperienceStore(path), SqliteExperienceStore(path, read_only=True)
    await writer.record([a_record("a")])
    assert await reader.count() == 1
    await writer.record([a_record("b")])
    assert await reader.count() == 2
    with pytest.raises(ExperienceStoreUnavailable, match="reading only"):
        await reader.record([a_record()])
    await writer.close()
    await reader.close()


async def filled(store: SqliteExperienceStore) -> int:
    """How many records went in before the store said that it is full."""
    for number in range(1000):
        try:
            await store.record([a_record(f"r{number}")])
        except ExperienceStoreUnavailable:
            return number
    raise AssertionError("the store is never full")


async def test_a_full_store_says_so_keeps_what_it_has_and_takes_more_once_there_is_room(path):
    small = SqliteExperienceStore(path, max_bytes=300_000)
    kept = await filled(small)
    with pytest.raises(ExperienceStoreUnavailable, match="full"):
        await small.record([a_record("one-more")])
    assert await small.count() == kept > 10
    await small.close()
    roomy = SqliteExperienceStore(path, max_bytes=3_000_000)
    assert await roomy.record([a_record(f"r{kept}")]) == 1
    assert await roomy.count() == kept + 1
    await roomy.close()


async def test_a_lock_held_too_long_is_named_and_writing_goes_on_after_it(path, monkeypatch):
    monkeypatch.setattr(sqlite_schema, "BUSY_TIMEOUT_S", 0.1)
    store = SqliteExperienceStore(path)
    await store.record([a_record()])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(ExperienceStoreUnavailable, match="locked by another process"):
        await store.record([a_record("waits")])
    assert await store.count() == 1
    other.execute("ROLLBACK")
    assert await store.record([a_record("waits")]) == 1
    other.close()
    await store.close()


async def test_a_file_that_is_no_database_is_named_and_left_alone(path):
    path.write_bytes(b"dear diary, " * 1000)
    store = SqliteExperienceStore(path)
    for attempt in (store.count(), store.record([a_record()])):
        with pytest.raises(ExperienceStoreUnavailable, match="no SQLite database"):
            await attempt
    assert path.read_bytes().startswith(b"dear diary")
    await store.close()


async def test_a_damaged_file_is_named(path):
    store = SqliteExperienceStore(path)
    await store.record([a_record(f"r{number}") for number in range(50)])
    await store.close()
    content = bytearray(path.read_bytes())
    content[8192 : len(content) - 4096] = b"\xa5" * (len(content) - 4096 - 8192)
    path.write_bytes(content)
    broken = SqliteExperienceStore(path)
    with pytest.raises(ExperienceStoreUnavailable, match="damaged"):
        await broken.find(ALL)
    await broken.close()


async def test_a_folder_that_cannot_be_made_is_named_and_may_become_possible(tmp_path):
    (tmp_path / "folder").write_text("a file is in the way")
    store = SqliteExperienceStore(tmp_path / "folder" / "experience.db")
    with pytest.raises(ExperienceStoreUnavailable, match="cannot be opened"):
        await store.record([a_record()])
    (tmp_path / "folder").unlink()
    assert await store.record([a_record()]) == 1
    await store.close()


async def test_a_store_of_a_newer_release_is_refused_in_words(path):
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    store = SqliteExperienceStore(path)
    with pytest.raises(ExperienceStoreUnavailable, match="newer release"):
        await store.count()
    await store.close()


async def test_an_older_store_is_brought_up_to_date_and_keeps_its_records(path, monkeypatch):
    store = SqliteExperienceStore(path)
    await store.record([a_record("old")])
    await store.close()
    later = (*sqlite_schema.MIGRATIONS, ("ALTER TABLE experience ADD COLUMN note TEXT NOT NULL DEFAULT ''",))
    monkeypatch.setattr(sqlite_schema, "MIGRATIONS", later)
    upgraded = SqliteExperienceStore(path)
    await upgraded.record([a_record("new")])
    assert {record.record_id for record in await upgraded.find(ALL)} == {"old", "new"}
    await upgraded.close()


async def test_a_migration_that_fails_leaves_the_store_as_it_was(path, monkeypatch):
    store = SqliteExperienceStore(path)
    await store.record([a_record("old")])
    await store.close()
    with monkeypatch.context() as patched:
        broken = (*sqlite_schema.MIGRATIONS, ("ALTER TABLE experience ADD COLUMN note TEXT", "ALTER TABLE nonsense"))
        patched.setattr(sqlite_schema, "MIGRATIONS", broken)
        upgrading = SqliteExperienceStore(path)
        with pytest.raises(ExperienceStoreUnavailable, match="it failed"):
            await upgrading.count()
        await upgrading.close()
    again = SqliteExperienceStore(path)
    assert await again.count() == 1
    await again.close()


async def test_a_row_that_another_release_wrote_is_left_out_with_a_warning(path, caplog):
    store = SqliteExperienceStore(path)
    await store.record([a_record("strange"), a_record("plain", minutes=1)])
    connection = sqlite3.connect(path)
    connection.execute("""UPDATE experience SET record = '{"from":"the future"}' WHERE record_id = 'strange'""")
    connection.commit()
    connection.close()
    assert [record.record_id for record in await store.find(ALL)] == ["plain"]
    assert "does not read as one" in caplog.text
    await store.close()


async def test_queries_use_an_index_and_never_sort(path):
    store = SqliteExperienceStore(path)
    await store.record([a_record()])
    await store.close()
    connection = sqlite3.connect(path)
    from evolution.store import sqlite_rows

    for query in (
        ALL,
        ExperienceQuery(tenant="default"),
        ExperienceQuery(tenant="default", since=MOMENT, until=MOMENT),
        ExperienceQuery(tenant="default", agent_id="ocr"),
    ):
        for select in (sqlite_rows.newest(query), sqlite_rows.oldest_after(query, (0, 0), 10)):
            plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {select[0]}", select[1]))
            assert "TEMP B-TREE" not in plan, (query, plan)
    connection.close()

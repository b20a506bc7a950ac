"""Compaction beside writers: few rows go at once, and the small files of a day become one that says the same."""

import sqlite3
from datetime import timedelta

import pytest

from evolution.mining.sources import SqliteSource
from evolution.ports import ExperienceQuery
from evolution.store.moments import microseconds
from evolution.store.sqlite_store import SqliteExperienceStore
from evolution.tiers import cold_names, compaction, joining
from evolution.tiers.cold_files import ColdFile, ColdFiles
from evolution.tiers.compaction import compact
from evolution.tiers.forgetting import forget
from evolution.tiers.tiered_store import TieredStore
from tests.unit.evolution.experience_records import MOMENT, a_record

QUERY = ExperienceQuery(tenant="default", limit=10_000)
DAY = 24 * 60
MIDNIGHT = MOMENT.replace(hour=0, minute=0, second=0, microsecond=0)


class Watched(ColdFiles):
    """Before a file is written or read something is done; ``at`` says before which of the two."""

    def __init__(self, url, act, at="put"):
        super().__init__(url)
        self._act, self._at = act, at

    def put(self, key, content):
        if self._at == "put":
            self._act()
        return super().put(key, content)

    def get(self, file):
        if self._at == "get":
            self._act()
        return super().get(file)


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
    yield store
    await store.close()


def of_day(days, count, **changes):
    """So many records of the day that many days ago, a minute apart from its beginning."""
    start = (MIDNIGHT - MOMENT).total_seconds() / 60 - days * DAY
    return [a_record(f"d{days}-{n:04d}", minutes=start + n, **changes) for n in range(count)]


def compacted(path, cold, days, minutes=0.0):
    until = MIDNIGHT - timedelta(days=days) + timedelta(minutes=minutes)
    return compact(path, cold, hot_until_us=microseconds(until), cold_until_us=0)


def counting(path):
    with sqlite3.connect(path) as connection:
        files = connection.execute("SELECT count(*) FROM cold_file WHERE rows > 0").fetchone()[0]
        return files, connection.execute("SELECT count(*) FROM cold_file WHERE rows = 0").fetchone()[0]


def objects(tmp_path):
    return len(list((tmp_path / "objects").rglob("*.parquet")))


@pytest.fixture
def few_at_once(monkeypatch):
    monkeypatch.setattr(compaction, "_ROWS", compaction._ROWS.replace(str(compaction.ROWS_AT_ONCE), "3"))


async def test_few_rows_are_removed_at_once_so_that_a_writer_waits_for_little(store, path, url):
    await store.record(of_day(10, 1_100))
    left = []

    def look():
        with sqlite3.connect(path) as connection:
            left.append(connection.execute("SELECT count(*) FROM experience").fetchone()[0])

    assert compacted(path, Watched(url, look), 7).moved == 1_100
    look()
    steps = [before - after for before, after in zip([1_100, *left], left, strict=False)]
    assert max(steps) <= compaction.ROWS_AT_ONCE == 500
    assert left[-1] == 0


@pytest.mark.usefixtures("few_at_once")
async def test_a_day_that_is_over_becomes_one_file_that_says_the_same(store, path, cold):
    await store.record([*of_day(10, 8), *of_day(9, 2)])
    before = await store.find(QUERY)
    done = compacted(path, cold, 7)
    assert (done.moved, done.files) == (10, 2)
    assert counting(path)[0] == 2
    assert await store.find(QUERY) == before
    assert await store.count() == 10
    assert sorted(
        t for rows in SqliteSource(path, cold).rows("default", 0, 0) for t in rows.values["task_id"]
    ) == sorted(record.task_id for record in before)
    again = compacted(path, cold, 7)
    assert (again.moved, again.files) == (0, 0)


async def test_files_of_every_hour_are_put_together_once_their_day_is_over(store, path, cold, tmp_path, monkeypatch):
    await store.record(of_day(10, 9))
    for minute in (3, 6, 9):
        compacted(path, cold, 10, minute)
    assert counting(path)[0] == 3  # each time again would write the day anew every hour
    compacted(path, cold, 9)
    assert counting(path) == (1, 3)
    assert objects(tmp_path) == 4  # whoever is about to read the three still can
    monkeypatch.setattr(cold_names, "ABANDONED_AFTER_S", -60.0)
    compacted(path, cold, 9)
    assert (counting(path), objects(tmp_path)) == ((1, 0), 1)
    assert len(await store.find(QUERY)) == 9


@pytest.mark.usefixtures("few_at_once")
async def test_what_is_forgotten_is_gone_from_the_small_files_too(store, path, cold, tmp_path):
    await store.record([*of_day(10, 6, labels={"subject": "ann"}), *of_day(9, 1)])
    compacted(path, cold, 7)
    assert forget(path, cold, "default", subject="ann").records == 6
    assert objects(tmp_path) == 1


@pytest.mark.usefixtures("few_at_once")
async def test_a_task_that_is_forgotten_while_files_are_put_together_stays_forgotten(store, path, url, cold):
    await store.record(of_day(10, 6))
    acts = [lambda: forget(path, cold, "default", task="d10-0001")]
    compacted(path, Watched(url, lambda: acts.pop()() if acts else None, at="get"), 7)
    assert not acts
    assert [record.task_id for record in await store.find(QUERY)] == [f"d10-000{n}" for n in (5, 4, 3, 2, 0)]
    compacted(path, cold, 7)
    assert counting(path)[0] == 1
    assert await store.count() == 5


@pytest.mark.usefixtures("few_at_once")
async def test_a_damaged_file_keeps_its_day_apart_and_is_said_to_who_reads_it(store, path, cold, tmp_path, caplog):
    await store.record(of_day(10, 6))
    compacted(path, cold, 10, 6)
    broken = next((tmp_path / "objects").rglob("*.parquet"))
    broken.write_bytes(broken.read_bytes()[:-9])
    compacted(path, cold, 7)
    assert counting(path)[0] == 2
    assert "files of a day stay as they are" in caplog.text


def test_lots_are_neighbours_that_fit_into_one_file(monkeypatch):
    monkeypatch.setattr(joining, "ROWS_A_FILE", 10)
    files = [ColdFile(str(n), "default", n, n, n, rows, "") for n, rows in enumerate((10, 4, 5, 3, 12, 1))]
    assert [[file.key for file in lot] for lot in joining.lots(files)] == [["1", "2"]]

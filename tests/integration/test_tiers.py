"""Both tiers as one store: nothing is lost or doubled on the way, and what is forgotten is gone from everywhere."""

import base64
import json
import sqlite3
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow.parquet
import pytest

from evolution.errors import ColdFileDamaged, ColdTierUnavailable, ExperienceStoreUnavailable
from evolution.mining.digest import DigestFolder
from evolution.mining.miner import Miner, Window
from evolution.mining.sources import SqliteSource
from evolution.ports import ExperienceQuery
from evolution.privacy.guard import Guard
from evolution.privacy.keys import SEALED, KeyRing
from evolution.store import sqlite_schema
from evolution.store.moments import microseconds
from evolution.store.sqlite_store import SqliteExperienceStore
from evolution.tiers.cold_files import ColdFiles
from evolution.tiers.compaction import compact
from evolution.tiers.forgetting import forget
from evolution.tiers.sealing import renew
from evolution.tiers.tiered_store import TieredStore
from tests.unit.evolution.experience_records import MOMENT, a_failure, a_feedback, a_record, encoded, said_of

QUERY = ExperienceQuery(tenant="default")
EVERYTHING_US = 2**62


@pytest.fixture
def path(tmp_path):
    return tmp_path / "experience.db"


@pytest.fixture
async def store(path, cold):
    store = TieredStore(SqliteExperienceStore(path), path, cold)
    yield store
    await store.close()


def days_ago(days, name, **changes):
    return a_record(name, minutes=-days * 24 * 60, **changes)


def hot_until(days):
    return microseconds(MOMENT - timedelta(days=days))


async def scanned(store, query=QUERY, batch_rows=3):
    return [record async for records in store.scan(query, batch_rows) for record in records]


def files_of(tmp_path):
    return sorted((tmp_path / "objects" / "experience" / "default").glob("*.parquet"))


async def test_old_records_move_and_every_question_is_answered_as_before(store, path, cold):
    records = [days_ago(day, f"r{day:02d}", success=day % 3 > 0) for day in range(12)]
    await store.record(records)
    questions = [
        QUERY,
        replace(QUERY, limit=7),
        replace(QUERY, success=False),
        replace(QUERY, agent_id="ocr", since=MOMENT - timedelta(days=9), until=MOMENT - timedelta(days=2)),
        replace(QUERY, tenant=None, limit=11),
        replace(QUERY, task_id="r09"),
        replace(QUERY, task_id="r02", agent_id="ocr"),
    ]
    before = [(await store.find(q), await scanned(store, q)) for q in questions]
    done = compact(path, cold, hot_until_us=hot_until(6.5), cold_until_us=0)
    assert (done.moved, done.files, done.removed) == (5, 5, 0)
    assert [(await store.find(q), await scanned(store, q)) for q in questions] == before
    assert (await store.count("default"), await store.count(), await store.tenants()) == (12, 12, ["default"])
    assert await SqliteExperienceStore(path, read_only=True).count() == 7


async def test_compacting_again_moves_nothing_twice(store, path, cold):
    await store.record([days_ago(10, f"r{n}") for n in range(5)])
    assert compact(path, cold, hot_until_us=hot_until(7), cold_until_us=0).moved == 5
    assert compact(path, cold, hot_until_us=hot_until(7), cold_until_us=0).moved == 0
    await store.record([days_ago(10, "r2"), days_ago(10, "late")])
    assert sorted(record.record_id for record in await scanned(store)) == ["late", "r0", "r1", "r2", "r3", "r4"]
    assert compact(path, cold, hot_until_us=hot_until(7), cold_until_us=0).moved == 2
    assert sorted(record.record_id for record in await scanned(store)) == ["late", "r0", "r1", "r2", "r3", "r4"]


async def test_what_is_too_old_goes_for_good_but_its_hours_stay_counted(store, path, cold, tmp_path):
    await store.record([days_ago(100, "a"), days_ago(100, "b", success=False), days_ago(10, "c")])
    assert compact(path, cold, hot_until_us=hot_until(7), cold_until_us=hot_until(90)).removed == 2
    assert [record.record_id for record in await scanned(store)] == ["c"]
    assert len(files_of(tmp_path)) == 1
    with sqlite3.connect(path) as connection:
        hours = connection.execute(
            "SELECT agent_id, tasks, successes FROM hourly ORDER BY hour_us, agent_id"
        ).fetchall()
    assert hours == [("", 2, 1), ("ocr", 2, 1), ("summary", 2, 1), ("", 1, 1), ("ocr", 1, 1), ("summary", 1, 1)]


async def test_following_from_the_past_begins_in_the_cold_tier(store, path, cold):
    await store.record([days_ago(10, "old"), days_ago(1, "new")])
    compact(path, cold, hot_until_us=hot_until(7), cold_until_us=0)
    following = store.tail(replace(QUERY, since=MOMENT - timedelta(days=30)))
    assert [(await anext(following)).record_id for _ in range(2)] == ["old", "new"]
    await following.aclose()
    latest = store.tail(QUERY, latest=2)
    assert [(await anext(latest)).record_id for _ in range(2)] == ["old", "new"]
    await latest.aclose()


async def test_a_run_that_cannot_write_its_file_moves_nothing(store, path, tmp_path):
    await store.record([days_ago(10, "r")])
    (tmp_path / "objects").write_text("a file where the folder should be")
    with pytest.raises(ColdTierUnavailable) as said:
        compact(path, ColdFiles((tmp_path / "objects").as_uri()), hot_until_us=hot_until(7), cold_until_us=0)
    assert len(str(said.value).splitlines()) == 1
    assert [record.record_id for record in await SqliteExperienceStore(path).find(QUERY)] == ["r"]


async def test_a_file_that_no_transaction_names_is_nobodys(store, path, cold):
    await store.record([days_ago(10, "r")])
    cold.put(cold.fresh_key("default", "2026-01-01"), b"left behind by a process that was killed")
    assert [record.record_id for record in await scanned(store)] == ["r"]
    compact(path, cold, hot_until_us=hot_until(7), cold_until_us=0)
    assert [record.record_id for record in await scanned(store)] == ["r"]


async def test_a_truncated_file_is_said_set_aside_and_passed_over(store, path, cold, tmp_path, caplog):
    await store.record([days_ago(10, "lost"), days_ago(9, "kept"), days_ago(1, "hot")])
    compact(path, cold, hot_until_us=hot_until(7), cold_until_us=0)
    first, _ = files_of(tmp_path)
    content = first.read_bytes()
    first.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        ColdFileDamaged, match=r"1 records of tenant default and lies in .* under experience/quarantine/"
    ):
        await scanned(store)
    [aside] = (tmp_path / "objects" / "experience" / "quarantine").glob("*.parquet")
    assert aside.read_bytes() == content[: len(content) // 2]
    assert [record.record_id for record in await scanned(store)] == ["kept", "hot"]
    assert "passed over" in caplog.text
    first.write_bytes(content)
    for _ in range(2):
        assert [record.record_id for record in await scanned(store)] == ["lost", "kept", "hot"]
    assert caplog.text.count("whole again") == 1


async def test_damage_is_said_though_it_can_be_neither_noted_nor_set_aside(store, path, cold, tmp_path, monkeypatch):
    await store.record([days_ago(10, "lost"), days_ago(1, "hot")])
    compact(path, cold, hot_until_us=hot_until(7), cold_until_us=0)
    [file] = files_of(tmp_path)
    file.write_bytes(b"PAR1")
    (tmp_path / "objects" / "experience" / "quarantine").write_text("a file where the folder should be")
    monkeypatch.setattr(sqlite_schema, "BUSY_TIMEOUT_S", 0.05)
    with sqlite3.connect(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            ColdFileDamaged, match=r"1 records of tenant default and lies in .* under experience/default/"
        ):
            await scanned(store)
    assert file.read_bytes() == b"PAR1"


async def test_a_row_that_does_not_read_stops_neither_compacting_forgetting_nor_new_keys(
    store, path, cold, keys, caplog
):
    await store.record([days_ago(10, "torn"), days_ago(10, "good", labels={"subject": "ann"}), days_ago(1, "hot")])
    await store.add_feedback([a_feedback("torn"), a_feedback("good", actor="ann")])
    with sqlite3.connect(path) as other:
        other.execute("UPDATE experience SET record = '{', chosen = 'x' WHERE task_id IN ('torn', 'hot')")
        other.execute("UPDATE feedback SET feedback = '{' WHERE task_id = 'torn'")
    assert compact(path, cold, hot_until_us=hot_until(7), cold_until_us=0).moved == 2
    assert renew(path, cold, keys, "default") == 5
    gone = forget(path, cold, "default", subject="ann")
    assert (gone.tasks, gone.records, gone.feedback) == (("good",), 1, 1)
    assert forget(path, cold, "default", task="torn").records == 1
    assert await store.count() == 1
    assert "does not read" in caplog.text


async def test_a_missing_file_is_said(store, path, cold, tmp_path):
    await store.record([days_ago(10, "r")])
    compact(path, cold, hot_until_us=hot_until(7), cold_until_us=0)
    files_of(tmp_path)[0].unlink()
    with pytest.raises(ColdFileDamaged, match="is gone"):
        await scanned(store)


async def test_mining_reads_both_tiers_each_record_once(store, path, cold, tmp_path):
    window = Window(0, EVERYTHING_US, 0)
    await store.record([days_ago(day % 12, f"r{day}") for day in range(48)])
    miner = Miner(SqliteSource(path, cold), DigestFolder(tmp_path / "mining"), "default")
    compact(path, cold, hot_until_us=hot_until(6.5), cold_until_us=0)
    assert miner.mine(window).tasks == 48
    await store.record([days_ago(8, "late"), days_ago(0, "new")])
    compact(path, cold, hot_until_us=hot_until(6.5), cold_until_us=0)
    report = miner.mine(window)
    assert (report.tasks, report.read) == (50, 2)
    assert miner.mine(window, afresh=True).tasks == 50


@pytest.mark.parametrize("body", ["{", "[]", "3", "null", '{"steps": 7}', '{"steps": [1]}'])
async def test_mining_goes_past_a_record_that_does_not_read_in_either_tier(store, path, cold, tmp_path, body):
    await store.record([days_ago(10, "torn"), days_ago(9, "good"), days_ago(1, "hot")])
    with sqlite3.connect(path) as other:
        other.execute("UPDATE experience SET record = ? WHERE task_id = 'torn'", (body,))
    for folder in ("hot", "cold"):
        report = Miner(SqliteSource(path, cold), DigestFolder(tmp_path / folder), "default").mine(
            Window(0, EVERYTHING_US, 0)
        )
        assert (report.tasks, report.read) == (3, 3)
        compact(path, cold, hot_until_us=hot_until(7), cold_until_us=0)


# Forgetting


async def test_a_forgotten_task_is_gone_from_everywhere(store, path, cold, tmp_path):
    secret = "the patient's name is Xanthippe"
    old, new = days_ago(10, "old", instruction=secret), days_ago(1, "new", instruction=secret)
    redone = new.model_copy(update={"record_id": "new-2"})
    await store.record([old, days_ago(10, "other"), new, redone])
    await store.add_feedback([a_feedback("new", comment=secret), a_feedback("other")])
    compact(path, cold, hot_until_us=hot_until(7), cold_until_us=0)
    Miner(SqliteSource(path, cold), DigestFolder(tmp_path / "mining"), "default").mine(Window(0, EVERYTHING_US, 0))
    for task, records, feedback in (("old", 1, 0), ("new", 2, 1), ("never", 0, 0)):
        gone = forget(path, cold, "default", task=task)
        assert (gone.records, gone.feedback, gone.unread) == (records, feedback, ())
        DigestFolder(tmp_path / "mining").forget(gone.tasks)
    assert [record.record_id for record in await scanned(store)] == ["other"]
    assert await said_of(store, "default", "new") == []
    assert len(await said_of(store, "default", "other")) == 1
    await store.close()
    everything = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert secret.encode() not in everything
    cold_text = [pyarrow.parquet.read_table(file)["record"].to_pylist() for file in files_of(tmp_path)]
    assert [json.loads(body)["task_id"] for bodies in cold_text for body in bodies] == ["other"]
    digest = DigestFolder(tmp_path / "mining")
    assert digest.load(digest.state(), 0, EVERYTHING_US)["task_id"].to_pylist() == ["other"]


async def test_a_forgotten_person_is_gone_from_everywhere_of_this_tenant_only(store, path, cold):
    labels = {"subject": "ann"}
    await store.record([
        days_ago(10, "a", labels=labels), days_ago(10, "b"), days_ago(1, "c", labels=labels),
        days_ago(1, "d", labels={"subject": "bob"}), days_ago(1, "e", labels=labels, tenant="other"),
    ])  # fmt: skip
    await store.add_feedback([a_feedback("a"), a_feedback("d", actor="ann"), a_feedback("d", actor="bob")])
    compact(path, cold, hot_until_us=hot_until(7), cold_until_us=0)
    gone = forget(path, cold, "default", subject="ann")
    assert (gone.tasks, gone.records, gone.feedback) == (("a", "c"), 2, 2)
    assert [record.record_id for record in await scanned(store)] == ["b", "d"]
    assert [feedback.actor for feedback in await said_of(store, "default", "d")] == ["bob"]
    assert await store.count("other") == 1


async def test_a_damaged_file_is_named_when_forgetting(store, path, cold, tmp_path):
    await store.record([days_ago(10, "a"), days_ago(1, "b")])
    compact(path, cold, hot_until_us=hot_until(7), cold_until_us=0)
    files_of(tmp_path)[0].write_bytes(b"PAR1")
    gone = forget(path, cold, "default", task="b")
    assert gone.records == 1
    assert len(gone.unread) == 1


# Keys


@pytest.fixture
def keys(tmp_path):
    ring = KeyRing(tmp_path / "keys")
    ring.add("default")
    return ring


async def test_text_and_feedback_lie_sealed_in_both_tiers_and_read_as_they_were(path, cold, keys, tmp_path):
    secret = "an instruction that nobody else may read"
    store = TieredStore(SqliteExperienceStore(path, guard=Guard(keys)), path, cold, Guard(keys))
    record, plain = days_ago(10, "r", instruction=secret), days_ago(1, "p", instruction=secret, tenant="open")
    long = "ä" * 20_000
    await store.record([record, plain, a_failure("f", instruction=secret)])
    await store.add_feedback([a_feedback("r", comment=secret), a_feedback("r", minutes=1, comment=long)])
    compact(path, cold, hot_until_us=hot_until(7), cold_until_us=0)
    assert await scanned(store, replace(QUERY, until=MOMENT)) == [record]
    assert [f.comment for f in await said_of(store, "default", "r")] == [secret, long]
    assert (await scanned(store, ExperienceQuery(tenant="open"))) == [plain]
    await store.close()
    with sqlite3.connect(path) as connection:
        bodies = connection.execute("SELECT record FROM experience WHERE tenant = 'default'").fetchall()
        bodies += connection.execute("SELECT feedback FROM feedback").fetchall()
    texts = [pyarrow.parquet.read_table(file)["record"].to_pylist() for file in files_of(tmp_path)]
    everything = [body for (body,) in bodies] + [body for of_file in texts for body in of_file]
    assert len(everything) == 4
    assert all(secret not in body and json.dumps(SEALED)[1:-1] in body for body in everything)


async def test_many_tasks_are_asked_for_at_once_over_both_tiers_and_two_keys(path, cold, keys):
    store = TieredStore(SqliteExperienceStore(path, guard=Guard(keys)), path, cold, Guard(keys))
    tasks = [f"r{n}" for n in range(1200)]
    await store.record([days_ago(10, "r0"), days_ago(10, "r700"), days_ago(1, "r1199")])
    await store.add_feedback([a_feedback("r0", comment="old key"), a_feedback("r1", comment="to be forgotten")])
    compact(path, cold, hot_until_us=hot_until(7), cold_until_us=0)
    keys.add("default")
    await store.add_feedback([a_feedback("r700", comment="new key"), a_feedback("r0", minutes=1, comment="new too")])
    forget(path, cold, "default", task="r1")
    found = await store.feedback_by_task("default", tasks)
    assert list(found) == tasks
    said = {task: [one.comment for one in of_it] for task, of_it in found.items() if of_it}
    assert said == {"r0": ["old key", "new too"], "r700": ["new key"]}
    keys.keep_newest("default")
    lost = "(sealed; its key is not in the key file)"
    assert [one.comment for one in await said_of(store, "default", "r0")] == [lost, "new too"]
    await store.close()


async def test_without_the_key_the_rest_of_the_record_can_still_be_read(path, cold, keys, tmp_path):
    await (sealed := SqliteExperienceStore(path, guard=Guard(keys))).record([a_record("r", instruction="secret")])
    await sealed.close()
    other = KeyRing(tmp_path / "other-keys")
    other.add("default")
    [record] = await SqliteExperienceStore(path, guard=Guard(other)).find(QUERY)
    assert record.instruction == "(sealed; its key is not in the key file)"
    assert record.task_id == "r"


async def test_keys_rotate_under_a_running_store_and_the_old_one_can_go(path, cold, keys, tmp_path):
    store = TieredStore(SqliteExperienceStore(path, guard=Guard(keys)), path, cold, Guard(keys))
    await store.record([days_ago(10, "old", instruction="one"), days_ago(1, "new", instruction="two")])
    await store.add_feedback([a_feedback("new", comment="three")])
    compact(path, cold, hot_until_us=hot_until(7), cold_until_us=0)
    by_hand = KeyRing(tmp_path / "keys")
    by_hand.add("default")
    assert renew(path, cold, by_hand, "default") == 3
    assert by_hand.keep_newest("default") == 1
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
    assert [record.instruction for record in await scanned(store)] == ["one", "two"]
    assert [f.comment for f in await said_of(store, "default", "new")] == ["three"]
    await store.record([a_record("newest", instruction="four")])
    await store.close()
    fresh = KeyRing(tmp_path / "keys")
    again = TieredStore(SqliteExperienceStore(path, guard=Guard(fresh)), path, cold, Guard(fresh))
    assert [record.instruction for record in await scanned(again)] == ["one", "two", "four"]
    assert [record.network.nodes[0].goal for record in await scanned(again)] == ["one", "two", "four"]
    await again.close()


@pytest.mark.parametrize("content", ["default", "default notakey", "de.fault gAAAA", "\x00\xff"])
async def test_a_key_file_edited_into_nonsense_stores_nothing_and_says_the_line(path, tmp_path, content):
    (tmp_path / "keys").write_bytes(content.encode("latin-1"))
    store = SqliteExperienceStore(path, guard=Guard(KeyRing(tmp_path / "keys")))
    with pytest.raises(ExperienceStoreUnavailable, match="keys"):
        await store.record([a_record()])
    assert await store.count() == 0
    await store.close()


async def test_a_key_file_that_is_gone_stores_nothing_in_the_open(path, tmp_path):
    store = SqliteExperienceStore(path, guard=Guard(KeyRing(tmp_path / "nowhere")))
    with pytest.raises(ExperienceStoreUnavailable, match="cannot be read"):
        await store.record([a_record()])
    await store.close()


async def test_records_of_a_time_are_counted_over_both_tiers(store, path, cold):
    await store.record([days_ago(day, f"d{day}") for day in range(1, 13)])
    window = (MOMENT - timedelta(days=10), MOMENT - timedelta(days=3))
    before = [await store.count("default", *bounds) for bounds in (window, (window[0], None), (None, window[1]))]
    compact(path, cold, hot_until_us=hot_until(5), cold_until_us=0)
    after = [await store.count("default", *bounds) for bounds in (window, (window[0], None), (None, window[1]))]
    assert before == after == [7, 10, 9]
    assert await store.count("other", *window) == 0


async def test_of_a_file_that_reaches_out_of_the_time_only_what_is_inside_is_counted(store, path, cold):
    await store.record([a_record(f"m{minute}", minutes=minute - 20 * 24 * 60) for minute in range(10)])
    compact(path, cold, hot_until_us=hot_until(5), cold_until_us=0)
    start = MOMENT - timedelta(days=20)
    assert await store.count("default", start + timedelta(minutes=3), start + timedelta(minutes=7)) == 4
    assert await store.count(None, start + timedelta(minutes=3)) == 7


async def test_kinds_are_learned_from_the_same_sample_before_and_after_records_move(store, path, cold):
    rng = np.random.default_rng(5)
    vectors = [encoded(vector) for vector in rng.normal(size=(200, 8))]
    records = [
        a_record(f"r{n}", minutes=-n * 60, vector=vector, vector_version="v") for n, vector in enumerate(vectors)
    ]
    await store.record(records)
    source, since_us = SqliteSource(path, cold), microseconds(MOMENT - timedelta(hours=180))
    before = source.sample("default", since_us, 40, seed=0)
    compact(path, cold, hot_until_us=hot_until(2), cold_until_us=0)
    assert source.sample("default", since_us, 40, seed=0) == before
    days = [n // 48 for n, vector in enumerate(vectors) if (base64.b64decode(vector), "v") in before]
    assert (len(days), set(days)) == (40, {0, 1, 2, 3})

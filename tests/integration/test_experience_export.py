"""Experience leaves the store whole, in every format, and a broken export leaves no file."""

import json
import os
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import pytest

from evolution.errors import ExportFailed
from evolution.export import SCHEMA, ExportFormat, export
from evolution.ports import ExperienceQuery
from evolution.store.memory_store import MemoryExperienceStore
from evolution.store.sqlite_store import SqliteExperienceStore
from schemas.experience import ExperienceRecord, Feedback
from tests.unit.evolution.experience_records import MOMENT, a_failure, a_record, encoded


@pytest.fixture
async def store():
    memory = MemoryExperienceStore()
    records = [a_record(f"t{i}", minutes=i) for i in range(6)]
    await memory.record([*records, a_failure("lost", minutes=9, vector=None, cost=0.0)])
    return memory


async def test_parquet_holds_every_record_in_typed_columns(store, tmp_path):
    path = tmp_path / "e.parquet"
    assert await export(store, ExperienceQuery(), path, ExportFormat.PARQUET, batch_rows=3) == 7
    table = pyarrow.parquet.read_table(path)
    assert table.schema.equals(SCHEMA)
    rows = table.to_pylist()
    assert [row["record_id"] for row in rows] == ["t0", "t1", "t2", "t3", "t4", "t5", "lost"]
    assert np.allclose(rows[0]["vector"], np.linspace(-1, 1, 384))
    assert rows[0]["chosen"] == ["ocr", "summary"]
    assert rows[6]["vector"] is None
    assert rows[6]["failure_code"] == "step_failed"
    original = (await store.find(ExperienceQuery(success=False)))[0]
    assert ExperienceRecord.model_validate_json(rows[6]["record"]) == original


async def test_the_export_of_a_window_tells_how_much_there_is_of_it(store, tmp_path):
    told = []
    query = ExperienceQuery(since=MOMENT + timedelta(minutes=2), until=MOMENT + timedelta(minutes=5))
    await export(store, query, tmp_path / "e.csv", ExportFormat.CSV, progress=lambda *so_far: told.append(so_far))
    assert told == [(3, 3)]


async def test_arrow_reads_back_as_a_table_without_copying_through_text(store, tmp_path):
    path = tmp_path / "e.arrow"
    await export(store, ExperienceQuery(success=True), path, ExportFormat.ARROW, batch_rows=4)
    table = pyarrow.ipc.open_file(path).read_all()
    assert table.num_rows == 6
    assert table["latency_ms"].to_pylist() == [12.5] * 6


async def test_csv_survives_quotes_newlines_and_commas(tmp_path):
    store = MemoryExperienceStore()
    words = 'say "hi", then\nleave; naïve'
    record = a_record("t", instruction=words, vector=encoded([1.5, -2.0]))
    await store.record([record])
    path = tmp_path / "e.csv"
    await export(store, ExperienceQuery(), path, ExportFormat.CSV)
    options = pyarrow.csv.ParseOptions(newlines_in_values=True)
    [row] = pyarrow.csv.read_csv(path, parse_options=options).to_pylist()
    assert row["instruction"] == words
    assert row["chosen"] == "ocr summary"
    assert row["vector"] == record.vector


async def test_json_lines_are_the_records_themselves(store, tmp_path):
    path = tmp_path / "e.jsonl"
    await export(store, ExperienceQuery(), path, ExportFormat.JSONL, batch_rows=2)
    read = [ExperienceRecord.model_validate_json(line) for line in path.read_text().splitlines()]
    assert read == list(reversed(await store.find(ExperienceQuery())))


@pytest.fixture
async def spoken_of(tmp_path: Path) -> AsyncIterator[SqliteExperienceStore]:
    """A real store: of t0 much was said, of t1 a word without a score, of t2 nothing; and t0 of another tenant."""
    store = SqliteExperienceStore(tmp_path / "spoken.db")
    early = Feedback(feedback_id="early", task_id="t0", at=datetime(2026, 1, 1, tzinfo=UTC), score=0.2, thumbs_up=False)
    await store.add_feedback([early])  # before its record
    await store.record(
        [*(a_record(f"t{i}", minutes=i) for i in range(3)), a_record("t0", record_id="o0", tenant="other")]
    )
    late = Feedback(feedback_id="late", task_id="t0", at=early.at + timedelta(days=30), score=0.9, comment='so, "good"')
    wordy = Feedback(feedback_id="wordy", task_id="t1", comment="well\nwell")
    strange = Feedback(feedback_id="strange", task_id="t0", tenant="other", score=0.0)
    await store.add_feedback([late, early, late, wordy, strange])
    await store.add_feedback([late])
    yield store
    await store.close()


async def test_what_was_said_of_a_task_stands_beside_its_record_each_remark_once(spoken_of, tmp_path):
    path = tmp_path / "e.parquet"
    await export(spoken_of, ExperienceQuery(tenant="default"), path, ExportFormat.PARQUET, batch_rows=2)
    much, word, nothing = pyarrow.parquet.read_table(path).to_pylist()
    assert (much["feedback_count"], much["feedback_score"], much["feedback_thumbs_up"]) == (2, 0.9, False)
    assert [one["feedback_id"] for one in json.loads(much["feedback"])] == ["early", "late"]
    assert (word["feedback_count"], word["feedback_score"], word["feedback_thumbs_up"]) == (1, None, None)
    assert json.loads(word["feedback"])[0]["comment"] == "well\nwell"
    assert (nothing["feedback_count"], nothing["feedback_score"], nothing["feedback"]) == (0, None, None)


async def test_tenants_with_tasks_of_one_id_do_not_hear_of_each_other(spoken_of, tmp_path):
    path = tmp_path / "e.arrow"
    await export(spoken_of, ExperienceQuery(), path, ExportFormat.ARROW)
    rows = {row["record_id"]: row for row in pyarrow.ipc.open_file(path).read_all().to_pylist()}
    assert (rows["t0"]["feedback_score"], rows["o0"]["feedback_score"]) == (0.9, 0.0)


async def test_feedback_survives_a_csv_file_and_is_left_out_when_nobody_asks_for_it(spoken_of, tmp_path):
    query, path = ExperienceQuery(tenant="default"), tmp_path / "e.csv"
    options = pyarrow.csv.ParseOptions(newlines_in_values=True)
    await export(spoken_of, query, path, ExportFormat.CSV)
    rows = pyarrow.csv.read_csv(path, parse_options=options).to_pylist()
    assert [row["feedback_count"] for row in rows] == [2, 1, 0]
    assert json.loads(rows[0]["feedback"])[1]["comment"] == 'so, "good"'
    await export(spoken_of, query, path, ExportFormat.CSV, feedback=False)
    assert {row["feedback_count"] for row in pyarrow.csv.read_csv(path, parse_options=options).to_pylist()} == {None}


@pytest.mark.parametrize("kind", list(ExportFormat))
async def test_nothing_to_export_is_an_empty_file_that_still_reads(tmp_path, kind):
    path = tmp_path / "none"
    assert await export(MemoryExperienceStore(), ExperienceQuery(), path, kind) == 0
    assert path.exists()
    if kind is ExportFormat.PARQUET:
        assert pyarrow.parquet.read_table(path).num_rows == 0


@pytest.mark.parametrize("kind", list(ExportFormat))
async def test_a_full_disk_is_said_and_a_device_stays_what_it_is(store, kind):
    # /dev/full is a disk that is always full.
    with pytest.raises(ExportFailed, match=r"cannot write /dev/full: .*No space left"):
        await export(store, ExperienceQuery(), Path("/dev/full"), kind)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


async def test_a_folder_that_takes_no_file_and_has_none_to_give_back_is_said(store, tmp_path):
    (tmp_path / "folder").write_text("a file, in truth")
    with pytest.raises(ExportFailed, match=r"cannot write .*Not a directory"):
        await export(store, ExperienceQuery(), tmp_path / "folder" / "e.csv", ExportFormat.CSV)


async def test_a_link_keeps_pointing_where_it_did(store, tmp_path):
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "real.jsonl")
    assert await export(store, ExperienceQuery(), tmp_path / "link.jsonl", ExportFormat.JSONL) == 7
    assert (tmp_path / "link.jsonl").is_symlink()
    assert len((tmp_path / "real.jsonl").read_text().splitlines()) == 7


@pytest.mark.parametrize("kind", list(ExportFormat))
async def test_a_folder_that_is_not_there_is_said_in_words(store, tmp_path, kind):
    with pytest.raises(ExportFailed, match="cannot write"):
        await export(store, ExperienceQuery(), tmp_path / "nowhere" / "file", kind)


async def test_a_broken_export_leaves_the_old_file_and_no_other(store, tmp_path):
    path = tmp_path / "e.jsonl"
    path.write_text("the export of yesterday")

    class Breaks(MemoryExperienceStore):
        async def scan(self, query, batch_rows=1000):
            yield [a_record()]
            raise OSError(28, "No space left on device")

    with pytest.raises(ExportFailed, match="No space left"):
        await export(Breaks(), ExperienceQuery(), path, ExportFormat.JSONL)
    assert path.read_text() == "the export of yesterday"
    assert os.listdir(tmp_path) == ["e.jsonl"]


@pytest.mark.parametrize("kind", [ExportFormat.CSV, ExportFormat.JSONL])
async def test_a_reader_that_has_enough_is_no_failed_export(store, kind):
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(BrokenPipeError):
        await export(store, ExperienceQuery(), Path(f"/dev/fd/{writing}"), kind)
    os.close(writing)

"""`aos experience` and `aos mine` on a store in a data folder, as a person at a terminal uses them."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.ipc
import pytest

from evolution.store.sqlite_store import SqliteExperienceStore
from tests.integration.typed_commands import exit_code_of
from tests.unit.evolution.experience_records import a_feedback, a_record


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AOS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("AOS_NATS_URL", "nats://127.0.0.1:9")
    return tmp_path / "data"


@pytest.fixture
def history(data):
    now = datetime.now(UTC)
    records = [a_record(f"t{n}", at=now - timedelta(days=n), instruction=f"task {n}") for n in range(12)]

    async def fill():
        store = SqliteExperienceStore(data / "experience" / "experience.db")
        await store.record(records)
        await store.add_feedback([a_feedback("t1", comment="well done")])
        await store.close()

    asyncio.run(fill())
    return records


def aos(capsys, *words):
    """Exit code, and what was said as JSON on standard output (or on standard error when it failed)."""
    code = exit_code_of([*words, "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out or said.err)


def test_compact_then_export_finds_both_tiers(history, capsys, tmp_path):
    assert aos(capsys, "experience", "compact") == (0, {"moved": 5, "files": 5, "removed": 0})
    assert aos(capsys, "experience", "export", str(tmp_path / "all.jsonl"))[1]["records"] == 12


def test_the_summary_is_the_same_before_and_after_compaction(history, capsys):
    before = aos(capsys, "experience", "summary")
    assert aos(capsys, "experience", "compact")[1]["moved"] == 5
    assert aos(capsys, "experience", "summary") == before
    code, days = before
    assert code == 0
    assert sum(day["tasks"] for day in days if day["agent_id"] == "") == 12
    [*of_agent] = aos(capsys, "experience", "summary", "--agent", "ocr")[1]
    assert {day["agent_id"] for day in of_agent} == {"ocr"}
    assert sum(day["tasks"] for day in of_agent) == 12


def test_a_window_that_ends_before_now_holds_what_lies_in_it(history, capsys, tmp_path):
    file = str(tmp_path / "some.jsonl")
    assert aos(capsys, "experience", "export", file, "--window", "5.5d..2.5d")[1]["records"] == 3
    days = aos(capsys, "experience", "summary", "--window", "5.5d..2.5d")[1]
    assert sum(day["tasks"] for day in days if day["agent_id"] == "") == 3
    code, found = aos(capsys, "mine", "--window", "5.5d..2.5d")
    assert (code, found["tasks"], found["kept"]) == (0, 3, False)


@pytest.mark.parametrize("kind", ["--jsonl", "--csv"])
def test_an_export_goes_through_a_pipe_and_what_is_said_of_it_does_not(history, tmp_path, kind):
    """In a process of its own: a pipe has no name that could be followed."""
    aos_command = [sys.executable, "-m", "gateway.cli.main", "experience", "export"]
    [piped, filed] = (
        subprocess.run([*aos_command, place, kind], capture_output=True, check=True, timeout=120)
        for place in ("-", str(tmp_path / "filed"))
    )
    assert piped.stdout == (tmp_path / "filed").read_bytes()
    assert b"12 records" in piped.stderr
    assert b"12 records" in filed.stdout


def test_an_export_is_named_by_its_format(history, capsys, tmp_path):
    assert aos(capsys, "experience", "export")[1]["path"] == "experience.parquet"
    assert aos(capsys, "experience", "export", "--csv")[1]["path"] == "experience.csv"
    assert aos(capsys, "experience", "export", "data.txt", "--arrow")[0] == 0
    assert pyarrow.ipc.open_file(tmp_path / "data.txt").num_record_batches == 1
    assert aos(capsys, "experience", "export", "data.txt")[0] == 2
    assert aos(capsys, "experience", "export", "-", "--parquet")[0] == 2
    code, problem = aos(capsys, "experience", "export", "--arrow", "--csv")
    assert (code, problem["title"]) == (2, "one format at a time: --csv or --arrow")


def test_a_fixed_agent_that_was_never_a_candidate_is_no_policy(history, capsys):
    code, problem = aos(capsys, "replay", "run", "--policy", "always:ocr2")
    assert (code, problem["detail"]) == (4, "candidates were: ocr, summary")


def test_forget_says_what_is_gone(history, capsys, tmp_path):
    code, gone = aos(capsys, "experience", "forget", "--task", "t1")
    assert (code, gone["records"], gone["feedback"], gone["patterns"]) == (0, 1, 1, None)
    assert aos(capsys, "experience", "export", str(tmp_path / "all.jsonl"))[1]["records"] == 11


def test_forget_wants_to_know_what(history, capsys):
    assert aos(capsys, "experience", "forget")[0] == 2


def test_keys_are_made_and_text_is_sealed(history, capsys, monkeypatch, data, tmp_path):
    code, problem = aos(capsys, "experience", "rotate-keys")
    assert (code, problem["code"]) == (3, "keys_unusable")
    assert "AOS_EXPERIENCE_KEYS" in problem["title"]
    monkeypatch.setenv("AOS_EXPERIENCE_KEYS", str(tmp_path / "keys"))
    assert aos(capsys, "experience", "rotate-keys") == (0, {"renewed": 13, "dropped_keys": 0})
    assert aos(capsys, "experience", "rotate-keys", "--drop-old") == (0, {"renewed": 13, "dropped_keys": 1})
    assert b"task 3" not in (data / "experience" / "experience.db").read_bytes()
    aos(capsys, "experience", "export", str(tmp_path / "all.jsonl"))
    assert "task 3" in (tmp_path / "all.jsonl").read_text()


def test_a_redaction_rule_that_is_none_is_refused_by_name(data, capsys, monkeypatch):
    monkeypatch.setenv("AOS_EXPERIENCE__REDACT", '["("]')
    code, problem = aos(capsys, "experience", "compact")
    assert code == 2
    assert "AOS_EXPERIENCE__REDACT" in problem["title"]


def test_mining_needs_no_bus_for_a_dry_run(history, capsys):
    code, found = aos(capsys, "mine", "--dry-run", "--window", "5d")
    assert code == 0
    assert (found["tasks"], found["read"], found["kept"]) == (5, 12, False)
    assert aos(capsys, "mine", "--dry-run")[1]["read"] == 0


def test_without_a_store_or_a_bus_the_next_step_is_said(data, capsys):
    code, problem = aos(capsys, "mine", "--dry-run")
    assert (code, problem["code"]) == (3, "experience_store_unavailable")
    assert "AOS_DATA_DIR" in problem["next_step"]
    for command in (("compact",), ("forget", "--subject", "ann"), ("summary",), ("export",), ("tail",)):
        code, problem = aos(capsys, "experience", *command)
        assert (code, problem["code"]) == (3, "experience_store_unavailable"), command
        assert "AOS_DATA_DIR" in problem["next_step"]
    assert not (data / "experience" / "experience.db").exists()
    for command in (("mine", "list"), ("rules", "list"), ("mine", "apply", "abc")):
        assert aos(capsys, *command)[0] == 3


def test_a_file_that_is_no_store_is_said_by_every_command(data, capsys):
    (data / "experience").mkdir(parents=True)
    (data / "experience" / "experience.db").write_text("not a database at all, this one")
    commands = [("experience", word) for word in ("export", "compact", "summary", "tail")]
    for command in (*commands, ("mine", "--dry-run"), ("replay", "list")):
        code, problem = aos(capsys, *command)
        assert (code, problem["code"]) == (3, "experience_store_unavailable"), command
        assert "Move it away" in problem["title"], command


def test_a_folder_or_an_empty_file_in_the_stores_place_is_said_by_every_command(data, capsys):
    store = data / "experience" / "experience.db"
    commands = (("export",), ("compact",), ("summary",), ("tail",), ("forget", "--task", "t1"))
    store.mkdir(parents=True)
    for command in commands:
        code, problem = aos(capsys, "experience", *command)
        assert (code, "cannot be opened" in problem["title"]) == (3, True), command
    store.rmdir()
    store.touch()
    for command in commands:
        code, problem = aos(capsys, "experience", *command)
        assert (code, "there is no experience store" in problem["title"]) == (3, True), command
    assert store.stat().st_size == 0


def test_a_folder_that_nobody_may_look_into_is_said_by_every_command(data, capsys, monkeypatch):
    """A name too long for the file system stands for a folder of another user, for tests may be run by root."""
    data.mkdir()
    monkeypatch.setenv("AOS_DATA_DIR", str(data / ("long" * 100)))
    for command in (("export",), ("compact",), ("summary",), ("tail",), ("forget", "--task", "t1")):
        code, problem = aos(capsys, "experience", *command)
        assert (code, problem["code"]) == (3, "experience_store_unavailable"), command
        assert "cannot be looked at" in problem["title"], command


def test_more_records_than_any_store_can_count_are_not_asked_for(history, capsys):
    assert exit_code_of(["experience", "tail", "--limit", "99999999999999999999"]) == 2
    assert "--limit" in capsys.readouterr().err


def test_the_similarity_graph_is_a_file_that_tools_read(history, capsys, tmp_path):
    import networkx

    code, said = aos(capsys, "mine", "graph", str(tmp_path / "g.graphml"))
    assert (code, said["tasks"]) == (0, 12)
    graph = networkx.read_graphml(tmp_path / "g.graphml")
    assert sum(data["importance"] for _, data in graph.nodes(data=True)) == pytest.approx(1)


def test_a_graph_that_cannot_be_written_leaves_the_one_before(history, capsys, tmp_path, monkeypatch):
    import networkx

    def full(_graph, path):
        Path(path).write_text("<half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(networkx, "write_graphml", full)
    (tmp_path / "g.graphml").write_text("of yesterday")
    code, problem = aos(capsys, "mine", "graph", str(tmp_path / "g.graphml"))
    assert (code, problem["title"]) == (1, f"cannot write {tmp_path}/g.graphml: No space left on device")
    assert (tmp_path / "g.graphml").read_text() == "of yesterday"

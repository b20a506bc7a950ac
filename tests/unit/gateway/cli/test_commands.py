"""Commands that need no gateway, as people and scripts call them."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from evolution.store.sqlite_store import SqliteExperienceStore
from gateway.cli.main import build
from gateway.cli.task import options
from gateway.cli.terminal.failure import Failed
from gateway.settings.loading import fields
from schemas.experience import ExperienceRecord
from schemas.task import TaskState

ROOT = Path(__file__).parents[4]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a file nor a variable of the machine is seen."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AOS_NATS_URL", raising=False)


def aos(*words: str) -> Result:
    return CliRunner().invoke(build(words), words, prog_name="aos")


def test_config_show_lists_every_setting_with_its_source(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AOS_HTTP_PORT", "9000")
    listed = {row["name"]: row for row in json.loads(aos("config", "show", "--json").stdout)}
    assert len(listed) == len(list(fields()))
    assert (listed["http.port"]["value"], listed["http.port"]["source"]) == (9000, "AOS_HTTP_PORT")
    assert "http.port" in aos("config", "show").stdout


def test_schema_check_fails_for_an_empty_folder_and_passes_after_export(tmp_path: Path):
    stale = aos("schema", "check", str(tmp_path))
    assert isinstance(stale.exception, Failed)
    assert stale.exception.next_step == "aos schema export"
    assert aos("schema", "export", str(tmp_path)).exit_code == 0
    assert aos("schema", "check", str(tmp_path)).exit_code == 0


def test_doctor_speaks_json():
    findings = json.loads(aos("doctor", "--json").stdout)
    assert {"python", "nats-server", "torch", "redis"} <= {finding["name"] for finding in findings}
    assert all(finding["remedy"] for finding in findings if finding["verdict"] != "ok")


def test_experience_is_read_beside_the_role_that_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AOS_DATA_DIR", str(tmp_path))
    (tmp_path / "experience").mkdir()
    asyncio.run(_fill(tmp_path / "experience" / "experience.db"))

    lines = aos("experience", "tail", "--json").stdout.splitlines()
    assert [json.loads(line)["task_id"] for line in lines] == ["t0", "t1", "t2"]
    assert "ocr → summary" in aos("experience", "tail", "--limit", "1").stdout

    exported = aos("experience", "export", str(tmp_path / "all.jsonl"), "--json")
    assert json.loads(exported.stdout)["records"] == 3
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 3


def test_no_experience_yet_says_where_it_was_looked_for():
    answer = aos("experience", "tail")
    assert isinstance(answer.exception, Failed)
    assert "AOS_DATA_DIR" in answer.exception.next_step


def test_an_export_needs_a_format_it_knows():
    assert isinstance(aos("experience", "export", "all.docx").exception, Failed)


async def _fill(file: Path) -> None:
    store = SqliteExperienceStore(file)
    records = [
        ExperienceRecord(
            record_id=f"t{number}",
            task_id=f"t{number}",
            tenant="default",
            state=TaskState.SUCCEEDED,
            success=True,
            instruction="read and sum up",
            chosen=("ocr", "summary"),
            latency_ms=12.0,
            cost=0.0,
        )
        for number in range(3)
    ]
    for record in records:
        await store.record([record])
    await store.close()


def test_a_budget_of_nothing_is_sent_and_what_nobody_said_is_not():
    hints = options.routing(["ocr"], None, [])
    assert options.given({"text": "", "routing": hints, "max_cost": 0.0, "requires_approval": False}) == {
        "routing": {"pin": ["ocr"]},
        "max_cost": 0.0,
    }


@pytest.mark.parametrize("words", ["", "   "])
def test_a_search_for_no_words_is_refused_before_anybody_is_asked(words: str):
    refused = aos("agents", "search", words)
    assert refused.exit_code == 2
    assert "it is empty" in refused.output

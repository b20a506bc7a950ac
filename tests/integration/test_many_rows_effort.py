"""What concerns few of many rows costs what those few cost: counted in steps of SQLite's machine, not in seconds."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

import pytest

from evolution.ports import ExperienceQuery
from evolution.privacy.keys import KeyRing
from evolution.store import sqlite_rows, sqlite_schema
from evolution.store.sqlite_store import SqliteExperienceStore
from evolution.tiers import sealing
from evolution.tiers.cold_files import ColdFiles
from tests.unit.evolution.experience_records import MOMENT, a_record

ROWS = 1000
FEW = 1000
"""Steps for a handful of rows; all thousand rows gone through take some 8,000 at least."""


@dataclass
class Steps:
    """Counted on every connection that is opened meanwhile."""

    count: int = 0

    def one_more(self) -> int:
        self.count += 1
        return 0


@pytest.fixture
async def path(tmp_path):
    path = tmp_path / "experience.db"
    store = SqliteExperienceStore(path)
    await store.record([a_record(f"t{n}", minutes=n) for n in range(ROWS)])
    await store.close()
    return path


@pytest.fixture
def steps(monkeypatch) -> Steps:
    counted = Steps()

    def counting(opened):
        def open_counted(*arguments) -> sqlite3.Connection:
            connection = opened(*arguments)
            connection.set_progress_handler(counted.one_more, 1)
            return connection

        return open_counted

    for name in ("open_for_reading", "open_for_writing"):
        monkeypatch.setattr(sqlite_schema, name, counting(getattr(sqlite_schema, name)))
    return counted


@pytest.mark.parametrize("asked", [{}, {"agent_id": "ocr"}, {"success": True, "policy": "cosine-1"}])
def test_whoever_follows_a_tenant_goes_only_through_what_is_new(path, steps, asked):
    query = ExperienceQuery(tenant="default", **asked)
    with closing(sqlite_schema.open_for_reading(path)) as connection:
        new = connection.execute(*sqlite_rows.stored_after(query, ROWS - 2, 500, sqlite_rows.KEYS)).fetchall()
    assert [record_id for *_, record_id in new] == [f"t{ROWS - 2}", f"t{ROWS - 1}"]
    assert steps.count < FEW


@pytest.mark.parametrize("tenant", ["default", None])
def test_a_tail_that_begins_lately_goes_through_nothing_older(path, steps, tenant):
    query = ExperienceQuery(tenant=tenant, since=MOMENT + timedelta(minutes=ROWS - 3))
    with closing(sqlite_schema.open_for_reading(path)) as connection:
        assert connection.execute(*sqlite_rows.beginning(query)).fetchone() == (ROWS - 3,)
    assert steps.count < FEW


def test_every_row_is_sealed_anew_once_and_what_was_sealed_is_not_gone_through_again(
    path, steps, tmp_path, monkeypatch
):
    monkeypatch.setattr(sealing, "BATCH_ROWS", 10)
    keys, cold = KeyRing(tmp_path / "keys"), ColdFiles((tmp_path / "objects").as_uri())
    keys.add("default")
    until = sealing.stored_until(path)
    assert sealing.renew(path, cold, keys, "default") == ROWS
    assert steps.count < 100 * ROWS
    assert sealing.renew(path, cold, keys, "default", after=until) == 0

"""What happened by the day is counted in one pass over the rows, however many are hot."""

import sqlite3

from evolution.store import sqlite_schema
from evolution.store.sqlite_store import SqliteExperienceStore
from evolution.tiers.summary import by_day
from tests.unit.evolution.experience_records import a_record

STEPS = 1_000_000
"""Of SQLite's machine. A thousand tasks by two agents take 162,000; all of them read again for each, 22 million."""


async def test_counting_many_hot_rows_takes_one_pass(tmp_path, monkeypatch):
    path = tmp_path / "experience.db"
    store = SqliteExperienceStore(path)
    await store.record([a_record(f"t{n}", minutes=n / 60) for n in range(1000)])
    await store.close()
    steps = 0

    def more() -> bool:
        nonlocal steps
        steps += 1000
        return steps > STEPS  # gives up: a summary that never comes

    def counting(path) -> sqlite3.Connection:
        connection = opened(path)
        connection.set_progress_handler(more, 1000)
        return connection

    opened = sqlite_schema.open_for_reading
    monkeypatch.setattr(sqlite_schema, "open_for_reading", counting)
    days = by_day(path, "default", 0, 2**62)
    assert {day.agent_id: day.tasks for day in days} == {"": 1000, "ocr": 1000, "summary": 1000}
    assert steps > 0

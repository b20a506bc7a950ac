"""Whatever is done to it, the store on disk answers like the one in memory; whatever is in a record, it comes back."""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evolution.ports import ExperienceQuery, ExperienceStore
from evolution.store.memory_store import MemoryExperienceStore
from evolution.store.sqlite_rows import read, record_row
from evolution.store.sqlite_store import SqliteExperienceStore
from tests.unit.evolution.experience_records import MOMENT, a_failure, a_feedback, a_record, encoded

FEW = st.integers(0, 4)
TEXT = st.text(max_size=30)
AGENTS = st.lists(st.sampled_from(["ocr", "sum", "chart"]), min_size=1, max_size=3, unique=True).map(tuple)
TENANT = st.sampled_from(["a", "b"])
RECORD = st.builds(
    lambda make, name, tenant, minute, agents: make(f"t{name}", tenant=tenant, minutes=minute, chosen=agents),
    st.sampled_from([a_record, a_failure]),
    FEW,
    TENANT,
    FEW,
    AGENTS,
)
FEEDBACK = st.builds(
    lambda name, task, tenant, minute: a_feedback(f"t{task}", feedback_id=f"f{name}", tenant=tenant, minutes=minute),
    FEW,
    FEW,
    TENANT,
    FEW,
)
STEPS = st.lists(st.one_of(st.lists(RECORD, max_size=4), st.lists(FEEDBACK, max_size=3)), max_size=8)
QUERIES = st.builds(
    lambda tenant, since, until, agent, success, policy: ExperienceQuery(
        tenant=tenant,
        since=None if since is None else MOMENT + timedelta(minutes=since),
        until=None if until is None else MOMENT + timedelta(minutes=until),
        agent_id=agent,
        success=success,
        policy=policy,
    ),
    st.none() | TENANT,
    st.none() | FEW,
    st.none() | FEW,
    st.none() | st.sampled_from(["ocr", "chart", "nobody"]),
    st.none() | st.booleans(),
    st.none() | st.sampled_from(["cosine-1", "learned-1"]),
)


async def told(store: ExperienceStore, steps, queries) -> list[object]:
    """Everything that the store answers while the steps are taken and afterwards."""
    answers: list[object] = []
    for step in steps:
        write = store.add_feedback if step and hasattr(step[0], "feedback_id") else store.record
        answers.append(await write(step))
    for query in queries:
        answers.append(await store.find(query))
        answers.append([record async for batch in store.scan(query, 2) for record in batch])
    answers += [await store.feedback_by_task(tenant, [f"t{number}" for number in range(5)]) for tenant in "ab"]
    return [*answers, await store.count(), await store.count("a")]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, queries=st.lists(QUERIES, max_size=4))
def test_disk_and_memory_answer_alike(steps, queries):
    async def both() -> None:
        with tempfile.TemporaryDirectory() as folder:
            disk = SqliteExperienceStore(Path(folder) / "experience.db")
            on_disk = await told(disk, steps, queries)
            await disk.close()
        assert on_disk == await told(MemoryExperienceStore(), steps, queries)

    asyncio.run(both())


@settings(max_examples=150, deadline=None)
@given(
    words=TEXT,
    labels=st.dictionaries(TEXT, TEXT, max_size=3),
    failure=st.none() | TEXT,
    vector=st.none() | st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8),
    cost=st.floats(0, 1e300),
    moment=st.datetimes(),
)
def test_any_record_survives_its_row(words, labels, failure, vector, cost, moment):
    record = a_record(
        instruction=words,
        labels=labels,
        failure_code=failure,
        vector=None if vector is None else encoded(vector),
        cost=cost,
        at=moment.replace(tzinfo=MOMENT.tzinfo),
    )
    body, blob = record_row(record)[-2:]
    assert read((body, blob, 0, 1)).record == record

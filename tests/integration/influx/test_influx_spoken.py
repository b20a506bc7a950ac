"""Of which tasks something was said since, in InfluxDB: what is asked, in how few questions, and what is noted."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from evolution.policies.loop import DESIGN
from evolution.policies.trial import progress
from evolution.policies.trial_memory import TrialFolder
from evolution.store import influx_spoken
from evolution.store.influx_keeping import InfluxKeeping
from evolution.store.influx_server import InfluxServer
from evolution.store.influx_spoken import OVERLAP_US
from evolution.store.influx_store import InfluxExperienceStore
from evolution.store.moments import microseconds
from schemas.assignment import CONTROL, TREATMENT
from schemas.base import now
from schemas.experience import Feedback
from schemas.policy_state import PolicyExperiment, PolicyState
from tests.integration.influx.wire import BINARY, InfluxDoor, annotated_csv, parameters, row
from tests.integration.test_policy_loop import traffic
from tests.unit.evolution.experience_records import MOMENT, a_feedback

pytestmark = pytest.mark.skipif(BINARY is None, reason="needs Debian's victoria-metrics")

BUCKET = "aos-experience-default"
BEGUN = f"influx.{microseconds(MOMENT)}"


@pytest.fixture
async def store(door: InfluxDoor) -> AsyncIterator[InfluxExperienceStore]:
    influx = InfluxExperienceStore(door.url, token="secret", org="aos", timeout_s=5, attempts=2)
    yield influx
    await influx.close()


def places(*minutes: float) -> bytes:
    """Where points lie."""
    moments = [MOMENT + timedelta(minutes=each) for each in minutes]
    return annotated_csv([{"_time": moment.isoformat().replace("+00:00", "042Z")} for moment in moments])


def named(*tasks: str) -> bytes:
    """Their tasks; nothing in its place where a point has none."""
    return annotated_csv([{"task_id": task, "stored_us": 5} for task in tasks])


async def test_feedback_is_written_with_the_moment_at_which_it_was_stored(store, door):
    before = microseconds(now())
    await store.add_feedback([a_feedback("late", minutes=-9), a_feedback("other")])
    stored = [int(line.partition("stored_us=")[2].partition("i")[0]) for line in door.writes[0][1].splitlines()]
    assert before <= stored[0] < stored[1] <= microseconds(now()) + 1


async def test_where_to_begin_is_no_question(store, door):
    begun = await store.spoken_of("default", None)
    assert (begun.task_ids, door.queries) == (None, [])
    assert abs(microseconds(now()) - int(begun.cursor.removeprefix("influx."))) < 30_000_000


async def test_one_question_tells_that_nothing_was_said(store, door):
    found = await store.spoken_of("default", BEGUN)
    assert found.task_ids == frozenset()
    (query,) = door.queries
    asked = parameters(query)
    # Minutes before the cursor count again; moments that feedback names itself may be any.
    assert (asked["bucket"], asked["stored"]) == (BUCKET, microseconds(MOMENT) - OVERLAP_US)
    assert (asked["start"], asked["stop"] > 2**62) == (0, True)
    assert 'r._field == "stored_us"' in query["query"]
    assert "pivot" not in query["query"]


async def test_a_second_question_where_they_lie_tells_of_which_tasks(store, door):
    door.answers.extend([places(3, -60), named("t1", "t2", "t1")])
    found = await store.spoken_of("default", BEGUN)
    assert found.task_ids == {"t1", "t2"}
    asked = parameters(door.queries[1])
    assert asked["stored"] == microseconds(MOMENT) - OVERLAP_US
    since, until = (microseconds(MOMENT + timedelta(minutes=each)) * 1000 for each in (-60, 3))
    assert (asked["start"], asked["stop"]) == (since, until + 1_000)
    assert "body" not in door.queries[1]["query"]


async def test_what_was_named_is_named_again_while_a_late_write_may_still_show(store, door, monkeypatch):
    monkeypatch.setattr(influx_spoken, "now", lambda: MOMENT + timedelta(seconds=30))
    door.answers.extend([places(0), named("t1")])
    found = await store.spoken_of("default", BEGUN)
    assert found.cursor == f"influx.{microseconds(MOMENT) + 30_000_000}"
    await store.spoken_of("default", found.cursor)
    assert parameters(door.queries[2])["stored"] == microseconds(MOMENT) + 30_000_000 - OVERLAP_US


async def test_where_feedback_was_removed_all_tasks_are_to_be_asked(store, door):
    door.answers.extend([places(1, 2), named("t1", "")])
    assert (await store.spoken_of("default", BEGUN)).task_ids is None


async def test_a_cursor_of_the_future_tells_of_a_clock_put_back(store, door):
    ahead = f"influx.{microseconds(now() + timedelta(hours=1))}"
    assert (await store.spoken_of("default", ahead)).task_ids is None
    assert door.queries == []


async def test_of_a_bucket_that_does_not_exist_nothing_was_said(store, door):
    door.query_failures.append((404, {}, 'could not find bucket "aos-experience-default"'))
    assert (await store.spoken_of("default", BEGUN)).task_ids == frozenset()


async def test_a_look_at_an_experiment_asks_once_for_records_and_once_for_remarks(store, door, tmp_path):
    since = now() - timedelta(hours=12)
    trial = PolicyExperiment(name="trial", candidate="learned-1", share=0.5, since=since)
    state = PolicyState(tenant="default", experiment=trial, changed_at=since)
    records = traffic(600, minutes_ago=300)

    async def looked():
        door.queries.clear()
        return await progress(store, state, [state], DESIGN, memory=TrialFolder(tmp_path))

    door.answers.append(annotated_csv([row(record) for record in records]))
    first = await looked()
    assert sum(first.tasks.values()) == 600
    # The records, and when anything was said of the first 500 and the other 100.
    assert len(door.queries) == 3
    again = await looked()
    assert (len(door.queries), again.tasks) == (2, first.tasks)
    said = Feedback(task_id="t3", score=0.5)
    told = {"_time": said.at.isoformat(), "task_id": "t3", "body_0": said.model_dump_json()}
    door.answers.extend([places(0), named("t3"), b"", places(0), annotated_csv([told])])
    judged = await looked()
    assert (len(door.queries), judged.tasks) == (5, first.tasks)
    assert [stage.judged(TREATMENT) + stage.judged(CONTROL) for stage in judged.stages] == [1]


async def test_forgetting_is_noted_without_saying_whom(door):
    server = InfluxServer(door.url, token="secret", org="aos", timeout_s=5, attempts=2)
    store = InfluxExperienceStore(door.url, token="secret", org="aos", timeout_s=5, attempts=2)
    door.buckets.add(BUCKET)
    before = microseconds(now())
    try:
        await InfluxKeeping(server, store).forget("default", task="secret-task")
    finally:
        await store.close()
        await server.close()
    ((bucket, line),) = door.writes
    series, field, at_ns = line.split(" ")
    assert (bucket, series) == (BUCKET, "feedback,slot=0")
    assert before * 1000 <= int(at_ns) <= microseconds(now()) * 1000
    assert field == f"stored_us={int(at_ns) // 1000}i"

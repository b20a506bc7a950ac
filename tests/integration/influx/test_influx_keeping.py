"""Housekeeping in InfluxDB on the wire: what is asked of its delete API, of its buckets, and what hours come to.

No InfluxDB 2 server can be had on test machines: deletes and changes of buckets are answered as its API reference says,
writes go to a real victoria-metrics.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from evolution.errors import ExperienceStoreUnavailable
from evolution.store.influx_keeping import InfluxKeeping
from evolution.store.influx_points import point_ns, slot
from evolution.store.influx_server import InfluxServer, rfc3339
from evolution.store.influx_store import InfluxExperienceStore
from evolution.store.moments import microseconds
from evolution.tiers.summary import summed
from gateway.cli.main import main
from tests.integration.influx.wire import BINARY, InfluxDoor, annotated_csv, parameters, row
from tests.unit.evolution.experience_records import MOMENT, a_feedback, a_record

pytestmark = pytest.mark.skipif(BINARY is None, reason="needs Debian's victoria-metrics")

BUCKET = "aos-experience-default"
HOUR = MOMENT.replace(minute=0, second=0, microsecond=0)
DAY_S = 86_400


@pytest.fixture
async def keeping(door: InfluxDoor) -> AsyncIterator[InfluxKeeping]:
    server = InfluxServer(door.url, token="secret", org="aos", timeout_s=5, attempts=2)
    store = InfluxExperienceStore(door.url, token="secret", org="aos", timeout_s=5, attempts=2)
    yield InfluxKeeping(server, store)
    await store.close()
    await server.close()


def place(record_id, at, field="record_id") -> dict[str, str]:
    return {"_time": at.isoformat().replace("+00:00", "042Z"), field: record_id}


def the_point(item_id, at, measurement="experience") -> dict[str, str]:
    """The request that removes one point and no other."""
    at_ns = point_ns(item_id, at)
    predicate = f'_measurement="{measurement}" AND slot="{slot(item_id)}"'
    return {"start": rfc3339(at_ns), "stop": rfc3339(at_ns + 1), "predicate": predicate}


def test_a_moment_keeps_its_nanoseconds():
    assert rfc3339(microseconds(MOMENT) * 1000 + 7) == "2026-11-20T12:00:00.123456007Z"


async def test_a_task_is_forgotten_point_by_point(keeping, door):
    later = MOMENT + timedelta(hours=1)
    door.answers.append(annotated_csv([place("r-1", MOMENT), place("r-2", later)]))
    door.answers.append(annotated_csv([place("f-1", later, "feedback_id")]))
    gone = await keeping.forget("default", task="t-1")
    assert (gone.tasks, gone.records, gone.feedback) == (("t-1",), 2, 1)
    assert door.deletes == [
        (BUCKET, the_point("f-1", later, "feedback")),
        (BUCKET, the_point("r-1", MOMENT)),
        (BUCKET, the_point("r-2", later)),
    ]
    assert [parameters(query)["task"] for query in door.queries] == ["t-1"] * 4
    assert {parameters(query)["bucket"] for query in door.queries} == {BUCKET}


async def test_a_persons_tasks_and_words_are_found_by_reading_and_forgotten(keeping, door):
    theirs = a_record("theirs").model_copy(update={"labels": {"subject": "ann"}})
    others = a_record("others", minutes=1)
    said, unsaid = (a_feedback("others", actor=actor, minutes=2) for actor in ("ann", "bob"))
    about = a_feedback("theirs", actor="bob", minutes=3)
    door.answers.append(annotated_csv([row(theirs), row(others)]))
    door.answers.append(annotated_csv([place(about.feedback_id, about.at, "feedback_id")]))
    bodies = [{"_time": "2026-11-20T12:00:00Z", "body_0": one.model_dump_json()} for one in (said, unsaid, about)]
    door.answers.append(annotated_csv(bodies))
    noted = []
    gone = await keeping.forget("default", subject="ann", note=lambda tasks: noted.append((tasks, len(door.deletes))))
    assert (gone.tasks, gone.records, gone.feedback) == (("theirs",), 1, 2)
    assert noted == [({"theirs"}, 0)]
    # What was said goes first: it is found by the record, also in the run after one that was killed.
    assert door.deletes[-1] == (BUCKET, the_point("theirs", theirs.at))
    assert {json.dumps(body) for _, body in door.deletes[:-1]} == {
        json.dumps(the_point(one.feedback_id, one.at, "feedback")) for one in (said, about)
    }


async def test_a_persons_words_are_found_beside_long_sealed_ones_and_what_does_not_read(keeping, door, caplog):
    said = a_feedback("t", actor="ann", minutes=2)
    # Sealed, a comment is longer than a person may write.
    sealed = said.model_copy(update={"feedback_id": "long", "comment": "\x01sealed:" + "A" * 25_000})
    rows = [{"_time": "2026-11-20T12:00:00Z", "body_0": body} for body in (said.model_dump_json(), "{", "[]")]
    chunks = [sealed.model_dump_json()[at : at + 15_000] for at in (0, 15_000)]
    rows = [{**row, "body_1": ""} for row in rows] + [
        {"_time": "2026-11-20T12:01:00Z", "body_0": chunks[0], "body_1": chunks[1]}
    ]
    door.answers.extend([b"", annotated_csv(rows)])
    gone = await keeping.forget("default", subject="ann")
    assert (gone.records, gone.feedback) == (0, 2)
    assert caplog.text.count("does not read as such") == 2


async def test_what_is_still_there_afterwards_is_said(keeping, door):
    door.answers.extend([annotated_csv([place("r-1", MOMENT)]), b"", annotated_csv([place("r-1", MOMENT)])])
    with pytest.raises(ExperienceStoreUnavailable, match="still shows points of task t-1: repeat"):
        await keeping.forget("default", task="t-1")


@pytest.mark.parametrize(
    ("status", "message", "words"),
    [(400, "invalid predicate", "refuses to forget"), (401, "unauthorized access", "refuses the token")],
)
async def test_a_server_that_does_not_delete_is_reported(keeping, door, status, message, words):
    door.answers.append(annotated_csv([place("r-1", MOMENT)]))
    door.delete_failures.append((status, {}, message))
    with pytest.raises(ExperienceStoreUnavailable, match=words):
        await keeping.forget("default", task="t-1")


async def test_of_a_tenant_without_a_bucket_there_is_nothing_to_forget(keeping, door):
    missing = 'failed to initialize execute state: could not find bucket "aos-experience-default"'
    door.query_failures.extend([(404, {}, missing)] * 4)
    gone = await keeping.forget("default", task="t-1")
    assert (gone.records, gone.feedback, door.deletes) == (0, 0, [])


def fact(minutes, success, chosen, latency_ms=10, cost=1) -> dict[str, str | int]:
    moment = (HOUR + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")
    values = {"success": "true" if success else "false", "chosen": chosen, "latency_ms": latency_ms, "cost": cost}
    return {"_time": moment, **values}


async def test_buckets_get_the_set_retention_and_whole_hours_are_counted_for_ever(keeping, door, behind):
    door.buckets |= {BUCKET, "someone-elses"}
    door.retention_s[BUCKET] = 30 * DAY_S
    hours = [b"", *[b""] * 22, annotated_csv([fact(1, True, "|a|b|"), fact(2, False, "|a|", latency_ms=30)])]
    door.answers.extend(hours)
    kept = await keeping.compact(DAY_S, HOUR + timedelta(minutes=65))
    assert (kept.buckets, kept.hours) == (1, 1)
    assert door.retention_s == {BUCKET: DAY_S, "aos-hours-default": 0}
    [(bucket, lines)] = door.writes
    assert bucket == "aos-hours-default"
    at = microseconds(HOUR) * 1000
    assert sorted(lines.splitlines()) == [
        f"hourly,agent=* cost=2,latency_ms=40,successes=1i,tasks=2i {at}",
        f"hourly,agent=a cost=2,latency_ms=40,successes=1i,tasks=2i {at}",
        f"hourly,agent=b cost=1,latency_ms=10,successes=1i,tasks=1i {at}",
    ]
    stored = {(s["metric"]["__name__"], s["metric"]["agent"]): s["values"] for s in behind.exported()}
    assert stored["hourly_tasks", "*"] == [2]
    asked = [parameters(query) for query in door.queries]
    assert [one["stop"] - one["start"] for one in asked[1:]] == [3600 * 10**9] * 23
    assert asked[-1]["stop"] == microseconds(HOUR + timedelta(hours=1)) * 1000


async def test_hours_that_late_records_may_change_are_counted_again_and_older_ones_are_not(keeping, door):
    door.buckets |= {BUCKET, "aos-hours-default"}
    door.retention_s[BUCKET] = 90 * DAY_S
    door.answers.append(annotated_csv([counts(HOUR, "*", 3)]))
    await keeping.compact(90 * DAY_S, HOUR + timedelta(hours=1))
    asked = [parameters(query)["start"] for query in door.queries[1:]]
    assert asked[0] == microseconds(HOUR - timedelta(hours=24)) * 1000
    assert len(asked) == 25
    assert door.writes == []


def counts(hour, agent, tasks) -> dict[str, str | int]:
    moment = hour.isoformat().replace("+00:00", "Z")
    return {"_time": moment, "agent": agent, "tasks": tasks, "successes": 1, "latency_ms": 10 * tasks, "cost": tasks}


async def test_days_are_counted_hours_and_what_came_since(keeping, door):
    door.answers.append(annotated_csv([counts(HOUR, "*", 3), counts(HOUR, "a", 2)]))
    door.answers.append(annotated_csv([fact(70, True, "|a|")]))
    hours = await keeping.counted("default", microseconds(HOUR), HOUR + timedelta(minutes=90))
    assert [(day.agent_id, day.tasks, day.successes, day.mean_latency_ms) for day in summed(hours)] == [
        ("", 4, 2, 10.0),
        ("a", 3, 2, 10.0),
    ]
    assert [day.tasks for day in summed(hours, "a")] == [3]


async def test_the_command_line_forgets_compacts_and_sums_up(door, monkeypatch, capsys, tmp_path):
    for name, value in {"URL": door.url, "TOKEN": "secret", "ORG": "aos"}.items():
        monkeypatch.setenv(f"AOS_INFLUX_{name}", value)
    monkeypatch.setenv("AOS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("AOS_NATS_URL", "nats://127.0.0.1:9")

    async def aos(*arguments: str) -> dict:
        with pytest.raises(SystemExit) as end:
            await asyncio.to_thread(main, arguments)
        assert not end.value.code
        return json.loads(capsys.readouterr().out)

    door.answers.extend([annotated_csv([place("r-1", MOMENT)]), b"", b"", b""])
    gone = await aos("experience", "forget", "--task", "t-1", "--json")
    assert (gone["tasks"], gone["records"], gone["feedback"]) == (["t-1"], 1, 0)
    assert door.deletes == [(BUCKET, the_point("r-1", MOMENT))]
    door.buckets.add(BUCKET)
    assert (await aos("experience", "compact", "--json"))["buckets"] == 1
    assert await aos("experience", "summary", "--window", "2h", "--json") == []

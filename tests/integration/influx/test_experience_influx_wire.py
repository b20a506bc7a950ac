"""The InfluxDB store on the wire: what it writes is real line protocol, what it reads is InfluxDB's annotated CSV."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta

import pytest

from evolution.errors import ExperienceRefused, ExperienceStoreUnavailable
from evolution.ports import ExperienceQuery
from evolution.store.influx_points import point_ns, record_point
from evolution.store.influx_store import InfluxExperienceStore
from evolution.store.moments import microseconds
from schemas.experience import Feedback
from tests.integration.influx.wire import BINARY, InfluxDoor, annotated_csv, parameters, row
from tests.unit.evolution.experience_records import MOMENT, a_failure, a_feedback, a_record, said_of

pytestmark = pytest.mark.skipif(BINARY is None, reason="needs Debian's victoria-metrics")

MINE = ExperienceQuery(tenant="default")


@pytest.fixture
async def store(door: InfluxDoor) -> AsyncIterator[InfluxExperienceStore]:
    influx = InfluxExperienceStore(door.url, token="secret", org="aos", timeout_s=5, attempts=3)
    yield influx
    await influx.close()


async def test_records_arrive_as_points_with_few_valued_tags_and_numeric_fields(store, door, behind):
    record, failure = a_record(latency_ms=12.5, cost=0.25), a_failure(latency_ms=7.0, minutes=1)
    assert await store.record([record, failure]) == 2
    series = {(s["metric"]["__name__"], s["metric"]["state"]): s for s in behind.exported()}
    latency = series["experience_latency_ms", "succeeded"]
    assert latency["values"] == [12.5]
    assert latency["timestamps"] == [int(MOMENT.timestamp() * 1000)]
    tags = {key: value for key, value in latency["metric"].items() if key not in ("__name__", "db", "slot")}
    assert tags == {"state": "succeeded", "success": "true", "policy": "cosine-1", "exploratory": "false"}
    assert series["experience_latency_ms", "failed"]["metric"]["failure_code"] == "step_failed"
    assert series["experience_cost", "succeeded"]["values"] == [0.25]


async def test_a_tenants_bucket_is_created_when_it_is_missing(store, door):
    await store.record([a_record(tenant="acme"), a_record(tenant="umbrella")])
    assert door.buckets == {"aos-experience-acme", "aos-experience-umbrella"}
    assert {bucket for bucket, _ in door.writes} == door.buckets


async def test_concurrent_records_travel_together(store, door):
    await store.record([a_record()])
    counts = await asyncio.gather(*(store.record([a_record(minutes=i)]) for i in range(50)))
    assert counts == [1] * 50
    assert len(door.writes) <= 4
    assert sum(lines.count("\n") + 1 for _, lines in door.writes) == 51


async def test_what_lies_there_already_is_not_written_again(store, door):
    old, fresh = a_record("old"), a_record("fresh", minutes=3)
    door.buckets.add("aos-experience-default")
    door.answers.append(annotated_csv([{"_value": "old"}]))
    assert await store.record([old, fresh, fresh]) == 1
    [(_, lines)] = door.writes
    assert 'record_id="fresh"' in lines
    assert 'record_id="old"' not in lines
    asked = parameters(door.queries[0])
    assert asked["ids"] == ["old", "fresh"]
    assert asked["start"] == point_ns("old", old.at)
    assert asked["stop"] == point_ns("fresh", fresh.at) + 1


async def test_the_same_record_is_the_same_point_and_another_is_another():
    first, again, other = a_record("a"), a_record("a"), a_record("b")
    lines = [record_point(record, 1).to_line_protocol() for record in (first, again, other)]
    assert lines[0] == lines[1]
    assert lines[0].rsplit(" ", 1)[1] != lines[2].rsplit(" ", 1)[1]


async def test_a_record_of_any_length_fits_the_limit_of_a_string_field(store, door):
    record = a_record(instruction='ß€😀\\"\n' * 8_000, network=None)
    door.buckets.add("aos-experience-default")
    await store.record([record])
    line = record_point(record, 1).to_line_protocol()
    assert "body_4=" in line
    door.answers.append(annotated_csv([row(record)]))
    assert await store.find(MINE) == [record]


async def test_records_are_read_from_annotated_csv_newest_first(store, door):
    records = [a_record(minutes=i) for i in range(3)]
    door.answers.append(annotated_csv([row(record) for record in reversed(records)]))
    query = ExperienceQuery(tenant="default", since=MOMENT, until=MOMENT + timedelta(hours=1), agent_id="ocr", limit=9)
    assert await store.find(query) == list(reversed(records))
    asked, text = parameters(door.queries[0]), door.queries[0]["query"]
    assert asked["bucket"] == "aos-experience-default"
    assert asked["agent"] == "|ocr|"
    assert asked["rows"] == 9
    assert asked["stop"] - asked["start"] == 3600 * 10**9
    assert "ocr" not in text
    assert "strings.containsStr" in text


async def test_one_task_is_looked_for_where_its_points_lie(store, door):
    record = a_record("asked")
    moment = record.at.isoformat().replace("+00:00", "042Z")
    door.answers.extend([annotated_csv([{"_time": moment}]), annotated_csv([row(record)])])
    assert await store.find(ExperienceQuery(tenant="default", task_id="asked")) == [record]
    where, body = map(parameters, door.queries)
    assert where["task"] == body["task"] == "asked"
    assert (where["start"], body["start"], body["stop"]) == (0, ns(record.at), ns(record.at) + 1_000)
    assert "body" not in door.queries[0]["query"]
    assert "r.task_id == task" in door.queries[1]["query"]


async def test_of_a_task_that_has_no_points_no_record_is_read(store, door):
    asked = ExperienceQuery(tenant="default", task_id="unknown")
    assert await store.find(asked) == []
    assert [batch async for batch in store.scan(asked)] == []
    assert len(door.queries) == 2


def ns(moment) -> int:
    """In nanoseconds; points of that microsecond lie up to 999 after it."""
    return microseconds(moment) * 1000


async def test_a_value_never_becomes_part_of_the_query_text(store, door):
    evil = '") |> drop(columns: ["_value"]) //'
    await store.find(ExperienceQuery(tenant="default", agent_id=evil, success=True, policy=evil))
    assert evil not in door.queries[0]["query"]
    assert parameters(door.queries[0])["agent"] == f"|{evil}|"
    assert parameters(door.queries[0])["policy"] == evil


async def test_a_point_that_does_not_read_as_a_record_is_left_out_with_a_warning(store, door, caplog):
    good = a_record()
    broken = {**row(good), "body_0": "{"}
    door.answers.append(annotated_csv([broken, row(good)]))
    with caplog.at_level(logging.WARNING):
        assert await store.find(MINE) == [good]
    assert "does not read as one" in caplog.text


async def test_feedback_is_written_and_read(store, door, behind):
    feedback = a_feedback("task-1", score=0.75)
    assert await store.add_feedback([feedback, feedback]) == 1
    assert {s["metric"]["__name__"]: s["values"] for s in behind.exported()}["feedback_score"] == [0.75]
    door.answers.extend([annotated_csv([{"_time": "2026-11-20T12:00:00Z"}]), spoken(feedback)])
    assert await said_of(store, "default", "task-1") == [Feedback.model_validate_json(feedback.model_dump_json())]


def spoken(*feedback: Feedback) -> bytes:
    """Pivoted rows of feedback."""
    rows = [
        {"_time": said.at.isoformat(), "task_id": said.task_id, "body_0": said.model_dump_json()} for said in feedback
    ]
    return annotated_csv(rows)


async def test_feedback_of_many_tasks_is_asked_for_in_bounded_questions_where_it_lies(store, door):
    # A client that repeats itself without a moment gives the remark two: InfluxDB keeps both points.
    first, again = (a_feedback("t1", minutes=n, feedback_id="f", score=n / 10) for n in (0, 3))
    later = a_feedback("t700", minutes=9)
    tasks = [f"t{n}" for n in range(1200)]
    moments = annotated_csv([{"_time": said.at.isoformat()} for said in (again, first)])
    last = annotated_csv([{"_time": later.at.isoformat()}])
    door.answers.extend([moments, spoken(first, again), last, spoken(later), b""])
    found = await store.feedback_by_task("default", [*tasks, "t0"])
    assert list(found) == tasks
    assert {task: said for task, said in found.items() if said} == {"t1": [first], "t700": [later]}
    asked = [parameters(query) for query in door.queries]
    assert [len(one["tasks"]) for one in asked] == [500, 500, 500, 500, 200]
    assert [task for one in (asked[0], asked[2], asked[4]) for task in one["tasks"]] == tasks
    assert (asked[1]["start"], asked[1]["stop"]) == (ns(first.at), ns(again.at) + 1_000)
    assert (asked[0]["start"], asked[3]["start"]) == (0, ns(later.at))
    assert max(len(json.dumps(query)) for query in door.queries) < 200_000
    assert "body" not in door.queries[0]["query"]
    assert "t700" not in door.queries[2]["query"]


async def test_of_one_task_the_server_is_asked_by_its_value(store, door):
    assert await said_of(store, "default", "t1") == []
    assert "r._value == task" in door.queries[0]["query"]
    assert parameters(door.queries[0])["task"] == "t1"
    assert await store.feedback_by_task("default", []) == {}
    assert len(door.queries) == 1


async def test_feedback_that_does_not_read_as_such_is_left_out_with_a_warning(store, door, caplog):
    good = a_feedback("t1")
    broken = annotated_csv(
        [{"_time": good.at.isoformat(), "body_0": body} for body in ("{", "[]", good.model_dump_json())]
    )
    door.answers.extend([annotated_csv([{"_time": good.at.isoformat()}]), broken])
    assert await said_of(store, "default", "t1") == [good]
    assert caplog.text.count("is left out") == 2


async def test_a_scan_pages_through_records_of_one_nanosecond_without_losing_or_doubling(store, door):
    records = sorted((a_record(f"r{i}", minutes=i // 2) for i in range(5)), key=lambda r: point_ns(r.record_id, r.at))
    pages = [records[:2], records[1:4], records[3:5]]
    door.answers.extend(annotated_csv([row(record) for record in page]) for page in pages)
    batches = [batch async for batch in store.scan(MINE, batch_rows=2)]
    assert [record.record_id for batch in batches for record in batch] == [record.record_id for record in records]
    starts = [parameters(query)["start"] for query in door.queries]
    assert starts == [0, *(point_ns(r.record_id, r.at) for r in (records[1], records[3]))]


async def test_counting_adds_up_the_buckets_of_this_project(store, door):
    door.buckets |= {"aos-experience-a", "aos-experience-b", "someone-elses"}
    door.answers.extend(annotated_csv([{"_value": number}]) for number in (3, 4))
    assert await store.count() == 7
    assert len(door.queries) == 2


async def test_tail_gives_each_record_once_though_its_polls_overlap(store, door):
    first, second = a_record("first"), a_record("second", minutes=1)
    door.answers.append(annotated_csv([row(first, 10_000_000)]))
    door.answers.append(annotated_csv([row(first, 10_000_000), row(second, 11_000_000)]))
    async with aclosing(store.tail(ExperienceQuery(tenant="default", since=MOMENT))) as tail, asyncio.timeout(30):
        assert [await anext(tail), await anext(tail)] == [first, second]
    asked = [parameters(query) for query in door.queries]
    assert [query["stored"] for query in asked] == [0, 8_000_000]


async def test_a_busy_server_is_asked_again_when_it_said(store, door):
    door.buckets.add("aos-experience-default")
    door.write_failures.extend([(503, {"Retry-After": "0"}, "queue is full"), (429, {"Retry-After": "0"}, "too many")])
    assert await store.record([a_record()]) == 1
    assert len(door.writes) == 1


async def test_a_server_that_stays_down_is_reported_and_nothing_is_half_written(store, door):
    door.write_failures.extend([(503, {"Retry-After": "0"}, "queue is full")] * 3)
    with pytest.raises(ExperienceStoreUnavailable, match=r"tried 3 times.*503"):
        await store.record([a_record()])
    assert door.writes == []


async def test_nobody_listening_is_reported_in_words(door):
    lonely = InfluxExperienceStore("http://127.0.0.1:9", token="t", org="aos", attempts=1)
    with pytest.raises(ExperienceStoreUnavailable, match="does not answer"):
        await lonely.count("default")
    await lonely.close()


async def test_a_wrong_token_is_said_at_once_without_trying_again(store, door):
    door.query_failures.append((401, {}, "unauthorized access"))
    with pytest.raises(ExperienceStoreUnavailable, match="refuses the token"):
        await store.record([a_record()])


async def test_an_organisation_that_the_server_does_not_have_is_said_so(store, door):
    door.buckets.add("aos-experience-default")
    door.write_failures.append((404, {}, 'organization name "aos" not found'))
    with pytest.raises(ExperienceStoreUnavailable, match=r"will not do it: 404 .*not found\. Set AOS_INFLUX_ORG"):
        await store.record([a_record()])
    assert door.writes == []


async def test_lines_that_the_server_will_never_take_are_refused(store, door):
    door.buckets.add("aos-experience-default")
    door.write_failures.append((400, {}, "unable to parse 'experience': missing fields"))
    with pytest.raises(ExperienceRefused, match="unable to parse"):
        await store.record([a_record()])


async def test_a_bucket_that_does_not_exist_reads_as_empty(store, door):
    message = 'failed to initialize execute state: could not find bucket "aos-experience-default"'
    door.query_failures.append((404, {}, message))
    assert await store.find(MINE) == []


async def test_a_query_error_inside_the_answer_is_an_error(store, door):
    lines = [
        "#datatype,string,string",
        "#group,true,true",
        "#default,,",
        ",error,reference",
        ",Failed to parse,897",
        "",
    ]
    door.answers.append("\r\n".join(lines).encode())
    with pytest.raises(ExperienceStoreUnavailable, match="cannot answer"):
        await store.find(MINE)

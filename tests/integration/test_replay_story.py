"""A task's story, from the events on a real bus and from its record, each alone and both together."""

from datetime import timedelta

import pytest

from evolution.store.memory_store import MemoryExperienceStore
from gateway.errors import TaskNotFound
from gateway.replay.differing import rows
from gateway.replay.story import Stories, born
from schemas import subjects
from schemas.base import new_id, now
from schemas.task import TaskEvent, TaskEventKind
from tests.unit.evolution.experience_records import a_failure, a_feedback, a_record


@pytest.fixture
async def store():
    return MemoryExperienceStore()


def events_of(task_id, started):
    """What a worker tells of a task of two steps, one of which is tried twice."""
    plan = {"network": {"nodes": [{"agent_id": "ocr"}, {"agent_id": "summary"}]}}
    told = [
        (0, TaskEventKind.STARTED, {}),
        (5, TaskEventKind.MATCHED, {"candidates": [{"agent_id": "ocr", "score": 0.71}]}),
        (6, TaskEventKind.PLANNED, {"plan": plan}),
        (7, TaskEventKind.STEP_STARTED, {"node": "n0", "agent_id": "ocr", "attempt": 1}),
        (9, TaskEventKind.STEP_RETRIED, {"node": "n0", "agent_id": "ocr", "attempt": 2, "error": "busy"}),
        (20, TaskEventKind.STEP_FINISHED, {"node": "n0", "agent_id": "ocr", "latency_ms": 13.0, "ok": True}),
        (30, TaskEventKind.SUCCEEDED, {}),
    ]
    return [
        TaskEvent(task_id=task_id, tenant="default", kind=kind, at=started + timedelta(milliseconds=ms), data=data)
        for ms, kind, data in told
    ]


async def tell(js, events):
    for event in events:
        await js.publish(subjects.event(event.tenant, event.task_id), event.model_dump_json().encode())


async def test_events_tell_every_moment_in_order_with_offsets_from_the_submission(nc, js, store):
    task_id, started = new_id(), now() - timedelta(seconds=5)
    await tell(js, events_of(task_id, started))
    await tell(js, events_of(new_id(), started))
    record = a_record(task_id, at=started + timedelta(milliseconds=30), latency_ms=40.0)
    await store.record([a_record(at=started), record, a_record(at=started)])
    await store.add_feedback([a_feedback(task_id)])
    story = await Stories(store, nc).of("default", task_id)
    assert story.record == record
    assert [said.comment for said in story.feedback] == ["très bien"]
    assert story.missing == ()
    assert [(round(one.offset_ms), one.what, one.detail) for one in story.timeline] == [
        (10, "started", ""),
        (15, "matched", "ocr 0.71"),
        (16, "planned", "ocr → summary"),
        (17, "step started", "n0"),
        (19, "step retried", "busy"),
        (30, "step finished", "n0"),
        (40, "succeeded", ""),
    ]
    assert story.timeline[5].took_ms == 13.0


async def test_without_events_the_record_remembers_the_stages_and_the_steps(nc, js, store):
    task_id = new_id()
    await store.record([a_record(task_id, at=now())])
    story = await Stories(store, nc).of("default", task_id)
    assert [one.what for one in story.timeline] == [
        *("queued", "perceived", "matched", "planned"),
        *("step", "step", "succeeded"),
    ]
    assert [one.offset_ms for one in story.timeline if one.what == "step"] == [1.0, 4.5]
    assert "gone after 7 days" in story.missing[0]
    assert (await Stories(store, None).of("default", task_id)).missing == (
        "no bus in reach: times are those of the record",
    )


async def test_a_task_that_goes_on_is_told_as_far_as_it_is(nc, js, store):
    task_id = new_id()
    await tell(js, events_of(task_id, now())[:3])
    story = await Stories(store, nc).of("default", task_id)
    assert story.record is None
    assert [one.what for one in story.timeline] == ["started", "matched", "planned"]
    assert story.missing == ("no experience yet: the task goes on",)


async def test_a_task_that_ended_without_a_record_is_not_said_to_go_on(nc, js, store):
    task_id = new_id()
    await tell(js, events_of(task_id, now()))
    [missing] = (await Stories(store, nc).of("default", task_id)).missing
    assert "on its way" in missing
    assert "goes on" not in missing


async def test_why_a_task_failed_is_said_in_words_and_who_let_it_go_on(nc, js, store):
    task_id, started = new_id(), now()
    said = [{"action": "approve", "actor": "ada", "reason": "looks right"}, {"action": "approve"}]
    refused = {"failure": {"code": "no_agent_fits", "message": "No agent fits 'dig a hole'."}}
    told = [(TaskEventKind.STARTED, {"remarks": []}), (TaskEventKind.RESUMED, {"remarks": said})]
    told.append((TaskEventKind.FAILED, refused))
    await tell(js, [TaskEvent(task_id=task_id, tenant="default", kind=k, at=started, data=d) for k, d in told])
    await store.record([a_failure(task_id, at=started)])
    story = await Stories(store, nc).of("default", task_id)
    assert story.why == "No agent fits 'dig a hole'."
    assert [one.detail for one in story.timeline][:2] == ["", "approve by ada: looks right; approve"]


async def test_without_events_the_last_failed_step_says_why(store):
    record = a_failure("f1")
    step = record.steps[-1].model_copy(update={"ok": False, "error": "ocr says: no words"})
    await store.record([record.model_copy(update={"steps": (step,)}), a_record("s1")])
    assert (await Stories(store, None).of("default", "f1")).why == "ocr says: no words"
    assert (await Stories(store, None).of("default", "s1")).why == ""


async def test_foreign_messages_on_the_event_subject_are_passed_over(nc, js, store):
    task_id = new_id()
    await js.publish(subjects.event("default", task_id), b"not an event")
    await tell(js, events_of(task_id, now())[:1])
    assert len((await Stories(store, nc).of("default", task_id)).events) == 1


@pytest.mark.parametrize("task_id", ["nobody", "no token!", "a.b", "*", ""])
async def test_a_task_nobody_knows_is_not_found(nc, js, store, task_id):
    with pytest.raises(TaskNotFound):
        await Stories(store, nc).of("default", task_id)


async def test_an_idempotency_keys_task_is_found_without_a_time_in_its_id(nc, js, store):
    task_id = "7b0c2d6a9e5f51b28f00c0ffee000001"
    await store.record([a_record(minutes=i) for i in range(5)])
    await store.record([a_record(task_id)])
    assert (await Stories(store, nc).of("default", task_id)).record.task_id == task_id


def test_ids_of_ours_say_when_they_were_made_and_others_do_not():
    assert abs(born(new_id()) - now()) < timedelta(minutes=3)
    assert born("7b0c2d6a9e5f51b28f00c0ffee000001") is None
    assert born("my-task") is None
    assert born("f" * 12 + "7" + "f" * 19) is None


def test_two_tasks_differ_in_what_differs():
    first = a_record("a", policy="cosine-1")
    second = a_failure("b", policy="learned-2", chosen=("ocr",), latency_ms=99.0)
    differing = {row.what: (row.first, row.second) for row in rows(first, second) if row.differs}
    assert differing["policy"] == ("cosine-1", "learned-2")
    assert differing["state"] == ("succeeded", "failed")
    assert differing["team"] == ("ocr → summary", "ocr")
    assert differing["candidate summary"] == ("2. 0.50 (dense 0.50)", "no candidate")
    assert differing["step n1"] == ("summary ok 4 ms", "not done")
    assert "cost" not in differing
    assert not any(row.differs for row in rows(first, first))

"""What a worker learns from its own outcomes: each once it is stored, and none that the bus had already."""

import pytest

from agents.journey.changes import taken
from agents.journey.records import TaskRecords
from agents.journey.settlement import Ending, Settlement
from agents.journey.telling import Teller
from agents.journey.told import ending_was_told
from schemas import subjects
from schemas.base import new_id
from schemas.experience import ExperienceRecord
from schemas.parts import text_part
from schemas.task import TaskEventKind, TaskResult, TaskState, TaskSubmitted
from tensor_layer.storage.blobs import ObstoreBlobs


async def test_an_outcome_is_told_when_stored_and_not_again_by_whoever_settles_again(nc, js, tmp_path):
    records = TaskRecords(await js.key_value(subjects.BUCKET_TASKS))
    blobs = ObstoreBlobs.from_url(tmp_path.as_uri())
    first: list[ExperienceRecord] = []
    second: list[ExperienceRecord] = []
    worker, other = (
        Settlement(js, records, Teller(nc, name), blobs, wrote=told.append)
        for name, told in (("worker-1", first), ("worker-2", second))
    )
    task = TaskSubmitted(task_id="t", parts=(text_part("do it"),))
    held = taken(None, task, "worker-1", stream_seq=7, deliveries=1)
    ended = await worker.settle(held, task, None, Ending(TaskState.SUCCEEDED, TaskResult(outputs=task.parts)))
    await other.settle_again(ended, task, None)
    assert [one.record_id for one in first] == ["t-7"]
    assert second == []
    stored = await js.get_last_msg(subjects.STREAM_EXPERIENCE, subjects.experience("default"))
    assert ExperienceRecord.model_validate_json(stored.data) == first[0]


async def test_an_experience_that_is_missing_though_the_ending_was_told_is_left_by_the_next(nc, js, tmp_path):
    records = TaskRecords(await js.key_value(subjects.BUCKET_TASKS))
    blobs = ObstoreBlobs.from_url(tmp_path.as_uri())
    died = Settlement(js, records, Teller(nc, "worker-1"), blobs, record_experience=False)  # just after the event
    task = TaskSubmitted(task_id="t", parts=(text_part("do it"),))
    held = taken(None, task, "worker-1", stream_seq=7, deliveries=1)
    ended = await died.settle(held, task, None, Ending(TaskState.SUCCEEDED))
    await Settlement(js, records, Teller(nc, "worker-2"), blobs).settle_again(ended, task, None)
    stored = await js.get_last_msg(subjects.STREAM_EXPERIENCE, subjects.experience("default"))
    assert ExperienceRecord.from_peer(stored.data).record_id == "t-7"
    events = await js.stream_info(subjects.STREAM_EVENTS, subjects.event("default", "t"))
    assert events.state.subjects == {subjects.event("default", "t"): 1}


@pytest.mark.parametrize("late", [(), (TaskEventKind.ACCEPTED,), (TaskEventKind.ACCEPTED, TaskEventKind.STARTED)])
async def test_an_ending_counts_as_told_unless_a_worker_told_more_since(nc, js, late):
    task_id, teller = new_id(), Teller(nc, "worker-1")
    assert not await ending_was_told(js, "default", task_id)
    for kind in (TaskEventKind.STARTED, TaskEventKind.STEP_FINISHED, TaskEventKind.SUCCEEDED, *late):
        await js.publish(subjects.event("default", task_id), teller.written("default", task_id, kind))
    await js.publish(subjects.event("default", new_id()), teller.written("default", "t", TaskEventKind.STARTED))
    assert await ending_was_told(js, "default", task_id) is (TaskEventKind.STARTED not in late)

"""What a worker learns from its own outcomes: each once it is stored, and none that the bus had already."""

from agents.journey.changes import taken
from agents.journey.records import TaskRecords
from agents.journey.settlement import Ending, Settlement
from agents.journey.telling import Teller
from schemas import subjects
from schemas.experience import ExperienceRecord
from schemas.parts import text_part
from schemas.task import TaskResult, TaskState, TaskSubmitted
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

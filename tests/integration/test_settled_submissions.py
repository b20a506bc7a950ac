"""What a task's record keeps of what was asked once the task has ended: only what its experience does not hold."""

from pathlib import Path

import pytest

from agents.journey.changes import taken
from agents.journey.records import TaskRecords
from agents.journey.settlement import Ending, Settlement
from agents.journey.telling import Teller
from gateway.roles.agents import options_of
from gateway.settings import Settings
from schemas import subjects
from schemas.parts import INLINE_LIMIT_BYTES, Modality, Part, data_part, text_part
from schemas.task import TaskResult, TaskState, TaskSubmitted
from tensor_layer.storage.blobs import ObstoreBlobs

WORDS = Part(text="read this")


@pytest.mark.parametrize(
    ("parts", "kept"),
    [
        ((WORDS, text_part("and that")), False),
        ((Part(text="x" * 1_999),), False),
        ((Part(text="x" * 2_000),), True),
        ((WORDS, data_part(b"\x89PNG", Modality.IMAGE, "image/png", "scan.png")), True),
        ((WORDS, text_part("a,b\n1,2", name="table.csv")), True),
        ((WORDS, Part(text="x" * INLINE_LIMIT_BYTES)), False),
    ],
    ids=["words", "just whole", "too long", "a picture", "a file of text", "too large for a record"],
)
async def test_what_experience_does_not_hold_stays_with_the_record(nc, js, tmp_path, parts, kept):
    records = TaskRecords(await js.key_value(subjects.BUCKET_TASKS))
    blobs = ObstoreBlobs.from_url(tmp_path.as_uri())
    settlement = Settlement(js, records, Teller(nc, "worker-1"), blobs)
    task = TaskSubmitted(task_id="t", parts=parts)
    result = TaskResult(outputs=(text_part("done"),))
    held = taken(None, task, "worker-1", stream_seq=1, deliveries=1)
    await settlement.settle(held, task, None, Ending(TaskState.SUCCEEDED, result))
    stored = await records.load("default", "t")
    assert stored.record.state is TaskState.SUCCEEDED
    assert stored.record.submission == (task if kept else None)


async def test_where_words_are_redacted_or_sealed_nothing_that_was_asked_stays_on_the_bus(nc, js, tmp_path):
    records = TaskRecords(await js.key_value(subjects.BUCKET_TASKS))
    blobs = ObstoreBlobs.from_url(tmp_path.as_uri())
    settlement = Settlement(js, records, Teller(nc, "worker-1"), blobs, keep_submissions=False)
    task = TaskSubmitted(task_id="t", parts=(Part(text="x" * 2_000),))
    held = taken(None, task, "worker-1", stream_seq=1, deliveries=1)
    await settlement.settle(held, task, None, Ending(TaskState.SUCCEEDED, TaskResult(outputs=(text_part("done"),))))
    assert (await records.load("default", "t")).record.submission is None


@pytest.mark.parametrize(
    ("privacy", "kept"), [({}, True), ({"redact": (r"\d{4}",)}, False), ({"key_file": Path("keys")}, False)]
)
def test_the_settings_of_privacy_decide_whether_submissions_are_kept(privacy, kept):
    settings = Settings()
    private = settings.model_copy(update={"experience": settings.experience.model_copy(update=privacy)})
    assert options_of(private).keep_submissions is kept

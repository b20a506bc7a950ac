"""What a task leaves for learning, however it ended."""

import numpy as np

from agents.journey.settlement import experience_of
from schemas.parts import Modality, text_part
from schemas.percept import EncoderVersion, Percept
from schemas.task import TaskRecord, TaskState, TaskSubmitted
from tensor_layer.ports import Perceived


def test_the_vector_of_a_refused_task_says_who_encoded_it():
    encoder = EncoderVersion(name="tiny", version="tiny-1", dimension=4)
    percept = Percept(parts=(), modalities=(Modality.TEXT,), encoder=encoder)
    perceived = Perceived(percept, np.full(4, 0.5, dtype=np.float32), ())
    refused = TaskRecord(task_id="t", tenant="acme", state=TaskState.FAILED)
    left = experience_of(refused, TaskSubmitted(parts=(text_part("fly to the moon"),)), perceived)
    assert (left.vector_version, left.modalities) == ("tiny-1", (Modality.TEXT,))
    assert left.vector is not None
    assert experience_of(refused, TaskSubmitted(parts=(text_part("x"),)), None).vector_version is None

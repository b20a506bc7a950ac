"""What a task's record teaches: an outcome for each agent that did a step. Pure; called by ``feed`` and the learner."""

import base64
import binascii

import numpy as np
from numpy.typing import NDArray

from agents.matching.live.policy import Outcome
from agents.matching.ranking import nearness_of
from schemas.experience import ExperienceRecord
from schemas.task import StepOutcome, TaskState, counted

Floats = NDArray[np.float32]

_FLOAT_BYTES = 4

TAUGHT_BY = frozenset({TaskState.SUCCEEDED, TaskState.FAILED})
"""A task that could not be read says nothing of agents; one that somebody cancelled, only by steps that had ended."""


def lessons_of(record: ExperienceRecord, dimension: int) -> list[Outcome]:
    """Empty when the record teaches nothing: nobody was chosen or asked, or its vector is of another encoder."""
    ended = record.state in TAUGHT_BY or (record.state is TaskState.CANCELLED and record.steps)
    if not ended or record.untried or record.vector is None or not record.chosen:
        return []
    try:
        vector = np.frombuffer(base64.b64decode(record.vector, validate=True), dtype="<f4")
    except (binascii.Error, ValueError):
        return []
    if vector.shape != (dimension,) or not np.isfinite(vector).all():
        return []
    vector = vector.astype(np.float32)
    if not record.steps and len(record.chosen) == 1:
        return [_outcome(record, record.chosen[0], vector, record.success, None)]
    # Every step counts for the agent that did it, one that stood in for another included: whoever fails is told of it,
    # unless what failed was the task, which lacked something.
    return [_outcome(record, step.agent_id, vector, step.ok, step) for step in counted(record.steps)]


def dimension_of(record: ExperienceRecord) -> int:
    """How many numbers the record's vector has; 0 when it has none."""
    return len(record.vector) * 3 // 4 // _FLOAT_BYTES if record.vector else 0


def _outcome(
    record: ExperienceRecord, agent_id: str, vector: Floats, success: bool, step: StepOutcome | None
) -> Outcome:
    candidate = next((one for one in record.candidates if one.agent_id == agent_id), None)
    scores = candidate.scores if candidate else {}
    return Outcome(
        task_id=record.task_id,
        agent_id=agent_id,
        vector=vector,
        success=float(success),
        nearness=nearness_of(candidate) if candidate else None,
        words=scores.get("words", 0.0),
        load=scores.get("load", 0.0),
        latency_ms=step.latency_ms if step else record.latency_ms,
        cost=step.cost if step else record.cost,
        propensity=record.propensity if agent_id == record.chosen[0] else 1.0,
    )

"""Makes records and feedback for the tests of the evolution layer."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from evolution.ports import ExperienceStore
from schemas.base import new_id
from schemas.candidate import Candidate
from schemas.experience import ExperienceRecord, Feedback
from schemas.network import Edge, Network, Node
from schemas.parts import Modality
from schemas.task import StageTimes, StepOutcome, TaskState

MOMENT = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)


def encoded(vector: Sequence[float]) -> str:
    """A vector as records carry it."""
    return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()


def a_record(task_id: str | None = None, *, minutes: float = 0.0, **changes: object) -> ExperienceRecord:
    """A record as a worker leaves it, ``minutes`` after MOMENT."""
    task_id = task_id or new_id()
    agents = changes.pop("chosen", ("ocr", "summary"))
    words = changes.pop("instruction", "read the invoice, “Rechnung” №7, and sum it up\nin one line")
    nodes = tuple(Node(id=f"n{i}", agent_id=agent, skill_id="do", goal=words) for i, agent in enumerate(agents))
    edges = [Edge(source="task", target="n0", modalities=(Modality.IMAGE,))]
    edges += [Edge(source=f"n{i}", target=f"n{i + 1}", modalities=(Modality.TEXT,)) for i in range(len(agents) - 1)]
    values: dict[str, object] = {
        "record_id": task_id,
        "task_id": task_id,
        "tenant": "default",
        "at": MOMENT + timedelta(minutes=minutes),
        "state": TaskState.SUCCEEDED,
        "success": True,
        "instruction": words,
        "modalities": (Modality.TEXT, Modality.IMAGE),
        "vector": encoded(np.linspace(-1.0, 1.0, 384)),
        "vector_version": "minilm-1",
        "candidates": tuple(
            Candidate(agent_id=agent, skill_id="do", score=0.5, scores={"dense": 0.5}, probability=0.5)
            for agent in agents
        ),
        "chosen": agents,
        "propensity": 0.5,
        "network": Network(nodes=nodes, edges=tuple(edges)),
        "steps": tuple(
            StepOutcome(
                step_id=f"{task_id}.n{i}",
                node=f"n{i}",
                agent_id=agent,
                skill_id="do",
                attempts=1,
                latency_ms=3.5,
                cost=0.1,
                ok=True,
            )
            for i, agent in enumerate(agents)
        ),
        "times": StageTimes(queued_ms=1.0, run_ms=7.0),
        "latency_ms": 12.5,
        "cost": 0.2,
        "labels": {"team": "finance"},
    }
    return ExperienceRecord.model_validate({**values, **changes})


def a_failure(task_id: str | None = None, **changes: object) -> ExperienceRecord:
    """A record of a task that failed."""
    return a_record(task_id, **{"state": TaskState.FAILED, "success": False, "failure_code": "step_failed", **changes})


def a_feedback(task_id: str, *, minutes: float = 0.0, **changes: object) -> Feedback:
    """What a person says of that task's result."""
    values = {"task_id": task_id, "at": MOMENT + timedelta(minutes=minutes), "thumbs_up": True, "comment": "très bien"}
    return Feedback.model_validate({**values, **changes})


async def said_of(store: ExperienceStore, tenant: str, task_id: str) -> list[Feedback]:
    """What the store knows to have been said of one task."""
    return (await store.feedback_by_task(tenant, [task_id]))[task_id]

"""A moment as a worker writes it is the TaskEvent that everybody reads, whatever it tells."""

import math
from typing import Any

import numpy as np
import pytest

from agents.journey.telling import Teller
from schemas import subjects
from schemas.candidate import Candidate
from schemas.network import Edge, Network, Node, Plan
from schemas.parts import Modality
from schemas.percept import PartPercept, Percept
from schemas.task import StageTimes, TaskEvent, TaskEventKind, TaskFailure

PERCEPT = Percept(
    parts=(
        PartPercept(index=0, modality=Modality.TEXT, media_type="text/plain", digest="sha256:1", size_bytes=4),
    ),
    modalities=(Modality.TEXT,),
)  # fmt: skip
PLAN = Plan(
    plan_id="p1",
    network=Network(
        nodes=(Node(id="a", agent_id="a", skill_id="s", goal='zoë says "no" \u2028 twice\n'),),
        edges=(Edge(source="task", target="a", modalities=(Modality.TEXT,)),),
    ),
    order=(("a",),),
    critical_path=("a",),
    estimated_ms=1.5,
    estimated_cost=0.0,
)
CANDIDATES = (Candidate(agent_id="a", skill_id="s", score=math.nan), Candidate(agent_id="b", skill_id="s", score=0.5))
TOLD: tuple[dict[str, Any] | None, ...] = (
    None,
    {"deliveries": 2},
    {"percept": PERCEPT},
    {"candidates": CANDIDATES},
    {"plan": PLAN},
    {"cost": np.float64(0.25), "times": StageTimes(run_ms=3.5), "outputs": 1},
    {"failure": TaskFailure(code="step_failed", message="it \x00 failed")},
)


class Bus:
    """Keeps what is published."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []

    async def publish(self, subject: str, payload: bytes) -> None:
        self.published.append((subject, payload))


def as_model(event: TaskEvent, data: dict[str, Any] | None) -> bytes:
    return event.model_copy(update={"data": data or {}}).model_dump_json().encode()


@pytest.mark.parametrize("data", TOLD)
async def test_a_moment_is_written_as_its_model_would_be(data):
    bus = Bus()
    teller = Teller(bus, "worker-1")
    await teller.tell("t1", "task-1", TaskEventKind.PLANNED, data)
    ((subject, payload),) = bus.published
    event = TaskEvent.model_validate_json(payload)
    assert subject == subjects.event("t1", "task-1")
    assert (event.task_id, event.tenant, event.worker_id) == ("task-1", "t1", "worker-1")
    assert event.kind is TaskEventKind.PLANNED
    assert payload == as_model(event, data)


def test_what_is_no_message_cannot_be_told():
    with pytest.raises(TypeError, match="object"):
        Teller(Bus(), "worker-1").written("t1", "task-1", TaskEventKind.STARTED, {"what": object()})

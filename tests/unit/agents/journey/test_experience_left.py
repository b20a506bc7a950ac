"""What a task leaves for learning, however it ended."""

from itertools import pairwise

import numpy as np
import pytest

from agents.journey.settlement import experience_of
from schemas.candidate import Candidate
from schemas.network import TASK, Edge, Network, Node, Plan
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


@pytest.mark.parametrize(
    ("chosen", "propensity"),
    [(("ocr",), 0.7), (("chart",), 0.2), (("chart", "ocr"), 0.7), (("pinned",), 1.0), (("never",), 1.0)],
    ids=["the first", "one that was tried", "a team", "no candidate", "one without a chance"],
)
def test_the_propensity_is_that_of_whom_the_policy_put_first_among_the_chosen(chosen, propensity):
    chances = {"ocr": 0.7, "chart": 0.2, "sum": 0.1, "never": 0.0}
    nodes = tuple(Node(id=agent, agent_id=agent, skill_id="do") for agent in chosen)
    edges = tuple(Edge(source=a, target=b, modalities=(Modality.TEXT,)) for a, b in pairwise((TASK, *chosen)))
    plan = Plan(
        plan_id="p",
        network=Network(nodes=nodes, edges=edges),
        order=(chosen,),
        critical_path=chosen,
        estimated_ms=1.0,
        estimated_cost=0.0,
    )
    candidates = tuple(
        Candidate(agent_id=agent, skill_id="do", score=0.5, probability=chance) for agent, chance in chances.items()
    )
    record = TaskRecord(task_id="t", tenant="acme", state=TaskState.SUCCEEDED, plan=plan, candidates=candidates)
    left = experience_of(record, TaskSubmitted(parts=(text_part("read it"),)), None)
    assert (left.chosen, left.propensity) == (chosen, propensity)

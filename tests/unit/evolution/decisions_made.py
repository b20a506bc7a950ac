"""Makes records of decisions between two agents for tests of policies: `main` is nearer, `spare` is second."""

import base64
import struct
from datetime import timedelta

from schemas.base import now
from schemas.candidate import Candidate
from schemas.experience import ExperienceRecord
from schemas.task import TaskState

VECTOR = base64.b64encode(struct.pack("<4f", 1.0, 0.0, 0.0, 0.0)).decode()
"""All tasks mean the same: nothing but standings and nearness tells the agents apart."""
WEIGHTS = {"nearness": 2.0, "reputation": 1.0}


def a_decision(
    number: int,
    *,
    near: float = 0.05,
    explored: float = 0.1,
    chosen: str | None = None,
    success: bool = True,
    minutes_ago: float | None = None,
    policy: str = "cosine-1",
    **changes: object,
) -> ExperienceRecord:
    """One of `main` and `spare` was chosen; ``near`` is by how much `main` is nearer, ``explored`` spare's chance."""
    chance = {"main": 1.0 - explored, "spare": explored}
    agent = chosen or ("spare" if explored and number % round(1 / explored) == 0 else "main")
    candidates = tuple(
        Candidate(agent_id=name, skill_id="do", score=score, scores={"dense": score}, probability=chance[name])
        for name, score in (("main", 0.6), ("spare", 0.6 - near))
    )
    ago = timedelta(minutes=number / 10 if minutes_ago is None else minutes_ago)
    values: dict[str, object] = {
        "record_id": f"r{number}",
        "task_id": f"t{number}",
        "tenant": "default",
        "at": now() - ago,
        "state": TaskState.SUCCEEDED if success else TaskState.FAILED,
        "success": success,
        "instruction": f"do thing number {number}",
        "candidates": candidates,
        "chosen": (agent,),
        "propensity": chance.get(agent, 1.0),
        "policy": policy,
        "vector": VECTOR,
        "latency_ms": 20.0,
        "cost": 0.1,
    }
    return ExperienceRecord.model_validate(values | changes)

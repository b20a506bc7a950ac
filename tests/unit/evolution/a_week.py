"""A week of experience made up from a seed: three kinds of task, four agents with hidden strengths, a learned policy.

Agents: ``clerk`` is good at invoices, ``poet`` at stories, ``solver`` at sums; ``novice`` is cheap and seldom right. On
day four a learned policy takes over from the cosine one.
"""

from datetime import timedelta

import numpy as np

from schemas.base import now
from schemas.candidate import Candidate
from schemas.experience import ExperienceRecord
from schemas.network import Edge, Network, Node
from schemas.parts import Modality
from schemas.task import StageTimes, StepOutcome, TaskState
from tests.unit.evolution.experience_records import encoded

AGENTS = ("clerk", "poet", "solver", "novice")
KINDS = ("sum up the invoice of {}", "write a story about {}", "solve the equation {}")
STRENGTH = {"clerk": (0.95, 0.3, 0.4), "poet": (0.3, 0.93, 0.2), "solver": (0.5, 0.2, 0.97), "novice": (0.3, 0.3, 0.3)}
LATENCY_MS = {"clerk": 40.0, "poet": 220.0, "solver": 90.0, "novice": 15.0}
COST = {"clerk": 0.02, "poet": 0.3, "solver": 0.1, "novice": 0.001}
THINGS = ("ACME & Sons", "a <dragon>", "x² = 4", "№ 7", "the sea")


def a_week(count: int = 600, *, days: float = 7.0, seed: int = 7) -> list[ExperienceRecord]:
    """Oldest first, evenly over the days that end a minute ago."""
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.normal(size=(16, 3)))[0].T
    start = now() - timedelta(days=days, minutes=1)
    return [_one(rng, number, start + timedelta(days=days * number / count), count, centres) for number in range(count)]


def _one(rng, number, at, count, centres) -> ExperienceRecord:
    kind = int(rng.integers(3))
    learned = number > count * 4 / 7
    best = int(np.argmax([STRENGTH[agent][kind] for agent in AGENTS]))
    first = best if learned else int(rng.integers(3))
    chances = np.full(4, 0.05)
    chances[first] += 0.8
    pick = int(rng.choice(4, p=chances))
    agent = AGENTS[pick]
    success = bool(rng.random() < STRENGTH[agent][kind])
    latency = float(LATENCY_MS[agent] * rng.lognormal(0.0, 0.25))
    vector = centres[kind] + rng.normal(scale=0.08, size=16)
    task_id = f"week-{number:05d}"
    candidates = tuple(
        Candidate(agent_id=name, skill_id="do", score=0.9 - 0.1 * abs(place - first), probability=float(chances[place]))
        for place, name in enumerate(AGENTS)
    )
    step = StepOutcome(
        step_id=f"{task_id}.n0",
        node="n0",
        agent_id=agent,
        skill_id="do",
        attempts=1,
        latency_ms=latency,
        cost=COST[agent],
        ok=success,
        error=None if success else "could not do it",
    )
    return ExperienceRecord(
        record_id=task_id,
        task_id=task_id,
        tenant="default",
        at=at,
        state=TaskState.SUCCEEDED if success else TaskState.FAILED,
        success=success,
        instruction=KINDS[kind].format(THINGS[int(rng.integers(len(THINGS)))]),
        modalities=(Modality.TEXT,),
        vector=encoded(vector),
        vector_version="test-1",
        candidates=candidates,
        chosen=(agent,),
        propensity=float(chances[pick]),
        policy="learned-2" if learned else "cosine-1",
        exploratory=pick != first,
        network=Network(
            nodes=(Node(id="n0", agent_id=agent, skill_id="do"),),
            edges=(Edge(source="task", target="n0", modalities=(Modality.TEXT,)),),
        ),
        steps=(step,),
        times=StageTimes(queued_ms=2.0, perceive_ms=5.0, match_ms=1.0, plan_ms=0.5, run_ms=latency),
        latency_ms=latency + 11.5,
        cost=COST[agent],
        failure_code=None if success else "step_failed",
    )

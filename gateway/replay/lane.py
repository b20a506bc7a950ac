"""One network done again by the workers' own runner, apart from everything. Called by ``recorded`` and ``shadow``.

Graphs, steps, attempts, substitutes and what flows along the edges are those of a worker. What makes a run durable and
heard of is left out: no checkpoints, no events, no record. People are not asked for approval again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agents.errors import AgentsError
from agents.ports.connectors import Connector
from agents.ports.running import RunRequest
from agents.running.gates import Sleep
from agents.running.runner import apart_runner
from schemas.base import new_id
from schemas.card import AgentCard
from schemas.network import Network, Plan, Substitute
from schemas.parts import Part
from schemas.task import StepOutcome, TaskEventKind, TaskSubmitted

LONGEST_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Again:
    """What is done again: a network, who does it, and what flows into it. ``task_id`` is a new one."""

    tenant: str
    network: Network
    cards: Mapping[str, AgentCard]
    parts: Sequence[Part]
    substitutes: Mapping[str, tuple[Substitute, ...]] = field(default_factory=dict)
    task_id: str = field(default_factory=new_id)


@dataclass(frozen=True, slots=True)
class Ran:
    """How it went: the steps done, the last answer, and what went wrong, in words and by code (nothing: success)."""

    steps: tuple[StepOutcome, ...]
    outputs: tuple[Part, ...] = ()
    problem: str = ""
    code: str = ""


class Lane:
    """Runs networks through a connector. Safe for many at once; graphs of one shape are compiled once."""

    def __init__(self, connector: Connector, *, sleep: Sleep = asyncio.sleep) -> None:
        self._runner = apart_runner(connector, sleep=sleep)

    async def run(self, again: Again) -> Ran:
        """To its end, good or bad. Never raises AgentsError."""
        network, parts = again.network, tuple(again.parts)
        plan = Plan(
            plan_id=f"again-{again.task_id}",
            network=network,
            order=network.groups(),
            critical_path=(),
            estimated_ms=0.0,
            estimated_cost=0.0,
            substitutes=dict(again.substitutes),
        )
        task = TaskSubmitted(task_id=again.task_id, tenant=again.tenant, parts=parts, deadline_s=LONGEST_S)
        request = RunRequest(task=task, plan=plan, parts=parts, cards=dict(again.cards))
        try:
            done = await self._runner.run(request, _tell_nobody)
        except AgentsError as error:
            return Ran(error.steps, problem=str(error), code=error.code)
        return Ran(done.steps, done.outputs)


async def _tell_nobody(kind: TaskEventKind, data: dict[str, object]) -> None:
    """Nobody follows a task that is done again."""

"""Asks one agent past tasks through the shadow lane, and makes records of its answers. Called by ``desk``.

A record of an audition is like that of a task of one step, with an id of its own: learning takes it as it takes any. It
has no words, for those belong to somebody's task; the label ``audition_of`` says whose.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from agents.errors import AgentUnreachable
from gateway.auditions.choosing import Piece
from gateway.replay.asked import Asker
from gateway.replay.lane import Again, Lane, Ran
from gateway.replay.shadow import TIMEOUT_S, once
from schemas.audition import AUDITION_OF, audition_id
from schemas.card import AgentCard
from schemas.experience import ExperienceRecord
from schemas.network import Network, Node
from schemas.task import TaskState

PLANNER = "audition"
NODE = "n0"


@dataclass(frozen=True, slots=True)
class Heard:
    """What the agent answered. ``unreachable`` says why it could not be asked: that says nothing of what it can do."""

    records: tuple[ExperienceRecord, ...]
    unreachable: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """Safe for many agents at once. ``timeout_s`` bounds each answer, besides the card's own bound."""

    lane: Lane
    asker: Asker
    timeout_s: float = TIMEOUT_S

    async def hear(self, card: AgentCard, pieces: Sequence[Piece]) -> Heard:
        """One attempt at each, all at once. Tasks whose content is no longer kept are left out."""
        answers = await asyncio.gather(*(self._ask(once(card, self.timeout_s), piece) for piece in pieces))
        records = tuple(one for answer in answers for one in answer.records)
        return Heard(records, next((answer.unreachable for answer in answers if answer.unreachable), ""))

    async def _ask(self, card: AgentCard, piece: Piece) -> Heard:
        asked = await self.asker.of(piece.record)
        if asked.missing:
            return Heard(())
        node = Node(id=NODE, agent_id=card.id, skill_id=piece.candidate.skill_id)
        again = Again(
            card.tenant, Network(nodes=(node,), edges=()), {card.id: card}, asked.parts, task_id=audition_id()
        )
        ran = await self.lane.run(again)
        if ran.code == AgentUnreachable.code:
            return Heard((), ran.problem)
        return Heard((_record(again.task_id, card, piece, ran),))


def _record(task_id: str, card: AgentCard, piece: Piece, ran: Ran) -> ExperienceRecord:
    # Who says that a task lacks something is not believed where somebody did it.
    steps = (
        tuple(step.model_copy(update={"error_code": None}) for step in ran.steps) if piece.record.success else ran.steps
    )
    return ExperienceRecord(
        record_id=task_id,
        task_id=task_id,
        tenant=card.tenant,
        state=TaskState.FAILED if ran.problem else TaskState.SUCCEEDED,
        success=not ran.problem,
        modalities=piece.record.modalities,
        vector=piece.record.vector,
        vector_version=piece.record.vector_version,
        candidates=(piece.candidate,),
        chosen=(card.id,),
        exploratory=True,
        planner=PLANNER,
        steps=steps,
        latency_ms=sum(step.latency_ms for step in ran.steps),
        cost=sum(step.cost for step in ran.steps),
        failure_code=ran.code or None,
        labels={AUDITION_OF: piece.record.task_id},
    )

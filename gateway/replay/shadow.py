"""Tasks done again by live agents in a lane without effects. Called by `aos replay run --agents live`.

Without effects means: only agents whose card carries the tag ``side_effects:none`` are asked, each once; the gateway
itself stores and publishes nothing: no task record, no event, no experience, no lesson. What an agent does behind its
promise cannot be seen from here. Others are refused, by name.

Only tasks whose whole input is text that the experience kept can be asked again: attachments are not recorded.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from agents.errors import AgentsError
from agents.ports import Connector
from evolution.replay.decision_log import Policy
from evolution.replay.rerunning import Outcome, Rerun, RerunReport, first_choice, report, walked
from schemas.base import new_id, now
from schemas.card import AgentCard
from schemas.experience import ExperienceRecord
from schemas.invocation import Invocation
from schemas.parts import Modality, text_part

HARMLESS = "side_effects:none"
AT_ONCE = 4
TIMEOUT_S = 60.0
KEPT_CHARACTERS = 2_000
"""Experience keeps so much of a task's words: what is longer is not whole."""


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """What came of it, and how many tasks were not asked, by reason."""

    compared: RerunReport
    left_out: Mapping[str, int] = field(default_factory=dict)


class ShadowLane:
    """Asks live agents again. Nothing is written anywhere by it."""

    def __init__(self, connector: Connector, cards: Mapping[str, AgentCard], *, timeout_s: float = TIMEOUT_S) -> None:
        self._connector = connector
        self._cards = cards
        self._timeout_s = timeout_s

    async def run(self, records: Sequence[ExperienceRecord], policy: Policy) -> ShadowReport:
        """Every record that may be asked again, a few at a time, in the order of the report: oldest first."""
        places, left_out = asyncio.Semaphore(AT_ONCE), Counter[str]()

        async def one(record: ExperienceRecord, card: AgentCard) -> Rerun:
            async with places:
                after = await self._ask(record, card)
            words = " ".join(record.instruction.split())[:80]
            return Rerun(record.task_id, words, record.chosen[0], card.id, walked(record), after)

        asked = []
        for record in sorted(records, key=lambda item: (item.at, item.record_id)):
            agent = first_choice(record, policy) if record.candidates else ""
            reason = why_not(record, agent, self._cards.get(agent))
            if reason:
                left_out[reason] += 1
            else:
                asked.append(one(record, self._cards[agent]))
        return ShadowReport(report(await asyncio.gather(*asked)), dict(left_out))

    async def _ask(self, record: ExperienceRecord, card: AgentCard) -> Outcome:
        """One attempt. The task and step ids are new ones: an agent that remembers ids meets no old one."""
        task_id = new_id()
        timeout_s = min(self._timeout_s, card.timeouts.step_s)
        invocation = Invocation(
            step_id=f"{task_id}.shadow",
            task_id=task_id,
            tenant=record.tenant,
            agent_id=card.id,
            skill_id=skill_of(record, card),
            goal=record.instruction,
            inputs=(text_part(record.instruction),),
            deadline=now() + timedelta(seconds=timeout_s),
        )
        started = time.perf_counter()
        try:
            reply = await self._connector.invoke(card, invocation, timeout_s)
        except AgentsError:
            return Outcome(False, (time.perf_counter() - started) * 1e3, 0.0, "")
        took_s = time.perf_counter() - started
        cost = reply.cost if reply.cost is not None else card.cost.per_call + card.cost.per_second * took_s
        return Outcome(reply.error is None, took_s * 1e3, cost, task_id)


def why_not(record: ExperienceRecord, agent: str, card: AgentCard | None) -> str:
    """Why the task is not asked again, in words; empty when it may be."""
    if len(record.chosen) != 1 or not record.steps:
        return "no single agent did the task"
    if any(modality is not Modality.TEXT for modality in record.modalities):
        return "the task had attachments, which experience does not keep"
    if not record.instruction.strip() or len(record.instruction) >= KEPT_CHARACTERS:
        return "the task's words were not kept whole"
    if card is None:
        return f"{agent} is not registered any more"
    if HARMLESS not in card.tags:
        return f"{agent} does not promise to have no effects (tag {HARMLESS})"
    return ""


def skill_of(record: ExperienceRecord, card: AgentCard) -> str:
    """The skill for which the agent was a candidate, else the card's first: cards change."""
    known = {skill.id for skill in card.skills}
    wanted = next((c.skill_id for c in record.candidates if c.agent_id == card.id and c.skill_id in known), None)
    return wanted or card.skills[0].id

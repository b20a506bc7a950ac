"""Tasks done again by live agents in a lane without effects. Called by `aos replay run --agents live`.

Without effects means: a network is run again only if the cards of all its agents carry the tag ``side_effects:none``;
each is asked once, with new ids; the gateway stores and publishes nothing: no task record, no event, no experience, no
lesson. Answers too large for a message pass through the object store, by their content, as they always do. What an
agent does behind its promise cannot be seen from here. Others are refused, by name.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agents.connectors.targets import TargetMissing, locate
from agents.ports.connectors import Connector
from evolution.replay.decision_log import Policy
from evolution.replay.rerunning import Rerun, RerunReport, first_choice, report
from evolution.replay.walking import network_of, outcome_of, walked
from gateway.replay.asked import Asked, Asker, same_content
from gateway.replay.lane import Again, Lane
from schemas.card import AgentCard, Timeouts
from schemas.experience import ExperienceRecord
from schemas.network import Network

HARMLESS = "side_effects:none"
AT_ONCE = 4
TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class ShadowReport:
    """What came of it, and how many tasks were not asked, by reason."""

    compared: RerunReport
    left_out: Mapping[str, int] = field(default_factory=dict)


class ShadowLane:
    """Asks live agents again. Nothing is written anywhere by it."""

    def __init__(
        self, connector: Connector, cards: Mapping[str, AgentCard], asker: Asker, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._lane = Lane(connector)
        self._cards = {agent_id: once(card, timeout_s) for agent_id, card in cards.items()}
        self._asker = asker

    async def run(self, records: Sequence[ExperienceRecord], policy: Policy | None) -> ShadowReport:
        """Every record that may be asked again, a few at a time, in the order of the report: oldest first.

        No policy: the recorded networks as they were.
        """
        places = asyncio.Semaphore(AT_ONCE)

        async def one(record: ExperienceRecord) -> Rerun | str:
            async with places:
                return await self._again(record, policy)

        ordered = sorted(records, key=lambda item: (item.at, item.record_id))
        found = await asyncio.gather(*map(one, ordered))
        left_out = Counter(reason for reason in found if isinstance(reason, str))
        return ShadowReport(report([done for done in found if isinstance(done, Rerun)]), dict(left_out))

    async def _again(self, record: ExperienceRecord, policy: Policy | None) -> Rerun | str:
        """The task done again, or why it is not."""
        if not record.chosen or not record.steps or (policy is not None and not record.candidates):
            return "nobody was chosen, or no step was done"
        agent = first_choice(record, policy)
        if len(record.chosen) > 1 and agent != record.chosen[0]:
            return "the policy would begin with another agent, and which network that would make is not known"
        network = self._network(record, agent)
        refused = next(filter(None, (self._refusal(node.agent_id) for node in network.nodes)), "")
        if refused:
            return refused
        asked = await self._asker.of(record)
        return asked.missing or await self._ask(record, network, asked)

    async def _ask(self, record: ExperienceRecord, network: Network, asked: Asked) -> Rerun:
        """One attempt of each step. Task and step ids are new ones: an agent that remembers ids meets no old one."""
        again = Again(record.tenant, network, {n.agent_id: self._cards[n.agent_id] for n in network.nodes}, asked.parts)
        ran = await self._lane.run(again)
        after = outcome_of(network, ran.steps, record.times, not ran.problem, again.task_id)
        same = same_content(ran.outputs, asked.answers) if asked.answers and after.success else None
        words = " ".join(record.instruction.split())[:80]
        first = network.nodes[0].agent_id
        return Rerun(record.task_id, words, record.chosen[0], first, walked(record), after, same)

    def _network(self, record: ExperienceRecord, agent: str) -> Network:
        """The recorded network; that of a single agent with the agent that is chosen now. Cards may have changed."""
        network = network_of(record)
        single = len(network.nodes) == 1
        nodes = []
        for node in network.nodes:
            agent_id = agent if single else node.agent_id
            card = self._cards.get(agent_id)
            skill_id = node.skill_id if card is None else skill_of(record, card, node.skill_id)
            nodes.append(node.model_copy(update={"agent_id": agent_id, "skill_id": skill_id}))
        return network.model_copy(update={"nodes": tuple(nodes)})

    def _refusal(self, agent: str) -> str:
        card = self._cards.get(agent)
        if card is None:
            return f"{agent} is not registered any more"
        return "" if HARMLESS in card.tags else f"{agent} does not promise to have no effects (tag {HARMLESS})"


def skill_of(record: ExperienceRecord, card: AgentCard, wanted: str) -> str:
    """The wanted skill if the card has it and the agent did it then; else that of its candidacy, else its first."""
    known = [skill.id for skill in card.skills]
    did = {(step.agent_id, step.skill_id) for step in record.steps}
    if wanted in known and (card.id, wanted) in did:
        return wanted
    proposed = (one.skill_id for one in record.candidates if one.agent_id == card.id and one.skill_id in known)
    return next(proposed, known[0])


def once(card: AgentCard, timeout_s: float) -> AgentCard:
    """The card with one attempt for each step."""
    timeouts = Timeouts(step_s=min(timeout_s, card.timeouts.step_s), attempts=1)
    return card.model_copy(update={"timeouts": timeouts})


def code_not_found(
    cards: Mapping[str, AgentCard], asked: Collection[str], folders: Sequence[Path], packages: Sequence[str]
) -> dict[str, str]:
    """Which harmless agents among those asked are Python code that is not there, and where it was looked for."""
    lost = {}
    for name in sorted(cards.keys() & asked):
        card = cards[name]
        if HARMLESS in card.tags and card.endpoint.kind == "python":
            try:
                locate(card.endpoint.target, folders, packages)
            except TargetMissing as missing:
                lost[name] = str(missing)
    return lost

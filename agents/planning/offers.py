"""The fleet as the planner sees it: each skill's kinds of content as sets. Called by ``planner``; read by the rest."""

from collections.abc import Iterable
from dataclasses import dataclass

from agents.registry.skill_text import skill_text
from schemas.card import AgentCard, Skill
from schemas.parts import Modality

Kinds = frozenset[Modality]


@dataclass(frozen=True, slots=True)
class Offer:
    """One skill of one agent, ready to be wired."""

    agent_id: str
    skill_id: str
    inputs: Kinds
    requires: Kinds
    outputs: Kinds
    cost: float = 0.0
    words: str = ""
    """What it is found by: the very text that the index knows, so that its vector is known too."""

    @property
    def key(self) -> tuple[str, str]:
        """What names it: agent and skill."""
        return (self.agent_id, self.skill_id)

    @property
    def label(self) -> str:
        """``agent.skill``, as drawings and messages spell it."""
        return f"{self.agent_id}.{self.skill_id}"


def offer_of(card: AgentCard, skill: Skill) -> Offer:
    """That skill of that card."""
    return Offer(
        card.id,
        skill.id,
        frozenset(skill.inputs),
        frozenset(skill.requires),
        frozenset(skill.outputs),
        card.cost.per_call,
        skill_text(card, skill),
    )


def offers_of(cards: Iterable[AgentCard]) -> dict[tuple[str, str], Offer]:
    """Every skill of the cards by agent and skill id, in that order, so that ties are broken the same way always."""
    offers = (offer_of(card, skill) for card in cards for skill in card.skills)
    return {offer.key: offer for offer in sorted(offers, key=lambda offer: offer.key)}

"""The fleet as the planner sees it: each skill's kinds of content as sets. Called by ``planner``; read by the rest."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agents.registry.skill_text import skill_text
from schemas.card import AgentCard, Skill
from schemas.parts import Modality

Kinds = frozenset[Modality]
OfferKey = tuple[str, str]
"""Agent and skill id."""


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


def offers_of(cards: Iterable[AgentCard]) -> dict[OfferKey, Offer]:
    """Every skill of the cards by agent and skill id, in that order, so that ties are broken the same way always."""
    offers = (offer_of(card, skill) for card in cards for skill in card.skills)
    return {offer.key: offer for offer in sorted(offers, key=lambda offer: offer.key)}


def named_offers(keys: Iterable[OfferKey], cards: Mapping[str, AgentCard]) -> dict[OfferKey, Offer]:
    """The offers of these names, in their order; names that the cards do not have are left out."""
    wanted = dict.fromkeys(keys)
    present = {cards[agent_id].id: cards[agent_id] for agent_id, _ in wanted if agent_id in cards}
    offers = offers_of(present.values())
    return {key: offers[key] for key in wanted if key in offers}

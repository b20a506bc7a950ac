"""The sample agents as a fleet that stands still, with the real encoder and index: for tests of who is chosen."""

from pathlib import Path

import yaml

from agents.matching.matcher import SkillMatcher
from agents.matching.ranking import CosineRanker
from agents.planning.planner import GreedyPlanner
from agents.ports.skill_index import SkillPoint
from agents.registry.skill_index.edge import EdgeSkillIndex
from agents.registry.skill_text import skill_text
from schemas.card import AgentCard, Liveness
from tensor_layer.ports import TextEncoder


def load_cards(folder: Path) -> dict[str, AgentCard]:
    """Every card of a folder by agent id."""
    cards = (AgentCard.model_validate(yaml.safe_load(path.read_text())) for path in sorted(folder.glob("*.yaml")))
    return {card.id: card for card in cards}


class StandingFleet:
    """ports.Fleet: everybody is alive and nothing changes."""

    def __init__(self, cards: dict[str, AgentCard]) -> None:
        self._cards = cards

    def cards(self, _tenant: str) -> dict[str, AgentCard]:
        return self._cards

    def liveness(self, _tenant: str, _agent_id: str) -> Liveness:
        return Liveness.ALIVE

    def version(self, _tenant: str) -> int:
        return 1

    def load(self, _tenant: str, _agent_id: str) -> float:
        return 0.0


async def planner_of(
    cards: dict[str, AgentCard], encoder: TextEncoder, folder: Path
) -> tuple[GreedyPlanner, EdgeSkillIndex]:
    """The planner over those cards, and the index to close."""
    skills = [(card, skill) for card in cards.values() for skill in card.skills]
    vectors = await encoder.encode([skill_text(card, skill) for card, skill in skills])
    index = await EdgeSkillIndex.open(folder, vectors.shape[1])
    for card in cards.values():
        points = [
            SkillPoint("default", card.id, skill.id, vector, frozenset(skill.inputs))
            for (owner, skill), vector in zip(skills, vectors, strict=True)
            if owner.id == card.id
        ]
        await index.replace("default", card.id, points)
    fleet = StandingFleet(cards)
    return GreedyPlanner(SkillMatcher(index, fleet, CosineRanker()), fleet, encoder.encode), index

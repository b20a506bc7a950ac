"""How a policy version chooses among a record's candidates: by the very ranker that workers use. Called by replay.

The evolution layer does not know rankers, and agents do not know replay; here they meet.
"""

from collections.abc import Sequence

from agents.matching.learning.learned_ranker import LearnedRanker
from agents.matching.ranking import CosineRanker
from agents.ports import Ranker, SkillHit
from evolution.replay.decision_log import Policy
from schemas.candidate import Candidate
from schemas.card import AgentCard, NatsEndpoint, Skill
from schemas.experience import ExperienceRecord
from schemas.parts import Modality
from schemas.policy import PolicySnapshot

DENSE = "dense"
"""The name under which workers record a candidate's plain similarity, whatever ranked it."""


async def choices(snapshot: PolicySnapshot | None) -> Policy:
    """evolution.policies.registry.Choices. No snapshot is the built-in cosine policy."""
    return ranked_by(CosineRanker() if snapshot is None else LearnedRanker(snapshot))


def ranked_by(ranker: Ranker) -> Policy:
    """The first of the ranker's order, always. Scores are taken again from the recorded similarities."""

    def policy(record: ExperienceRecord) -> Sequence[float]:
        hits = [SkillHit(c.agent_id, c.skill_id, c.scores.get(DENSE, c.score)) for c in record.candidates]
        cards = {candidate.agent_id: _card(candidate) for candidate in record.candidates}
        best = ranker.rank(hits, cards)[0].agent_id
        return [float(candidate.agent_id == best) for candidate in record.candidates]

    return policy


def _card(candidate: Candidate) -> AgentCard:
    """As much of a card as a ranker looks at; what the agent's card said then is not recorded. Not validated: many."""
    skill = Skill.model_construct(
        id=candidate.skill_id, description="as recorded", inputs=(Modality.TEXT,), outputs=(Modality.TEXT,)
    )
    return AgentCard.model_construct(
        id=candidate.agent_id, version="0.0.0", description="as recorded", skills=(skill,), endpoint=_ENDPOINT
    )


_ENDPOINT = NatsEndpoint()

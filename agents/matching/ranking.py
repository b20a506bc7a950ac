"""Orders the agents that were found. Pure; called by the matcher. The learned ranker will be another ports.Ranker."""

import math
from collections.abc import Sequence

from agents.ports.skill_index import SkillHit
from schemas.candidate import Candidate
from schemas.card import AgentCard

SCORE_DIGITS = 6
"""Engines differ in the last bits of a cosine; rounding keeps ties ties, and the order the same everywhere."""


EXAMPLE_DISCOUNT = 0.3
"""An example lies nearer to any question than a description does, so it counts with so much less cosine. Measured like
``matcher.ABSTAIN_THRESHOLD``, at the same threshold: the right agent is first for 100 % of the requests instead of 97,
97 % instead of 96 are kept and as many off-topic ones refused (90 %); 0.2 refuses 88 %, 0.1 only 75.
"""

DOUBT_BIAS, DOUBT_SLOPE = 8.35, 29.2
"""Log odds that nobody serves a request, from the cosine of the nearest skill: fitted to the same requests (even odds
at 0.29). Ten-fold out of sample, of those told below 10 % none were off-topic, of those above 90 % 98 % (Brier 0.028).
"""


class CosineRanker:
    """ports.Ranker: each agent by its nearest skill. Greedy: the propensity is 1.0 for the first, else 0.0."""

    policy = "cosine-1"

    def rank(self, hits: Sequence[SkillHit], cards: dict[str, AgentCard]) -> tuple[Candidate, ...]:
        """Candidates best first, one for each agent; ties in the order of agent and skill id."""
        ordered = sorted(
            (hit for hit in hits if _is_on_its_card(hit, cards)),
            key=lambda hit: (-_score(hit), hit.agent_id, hit.skill_id),
        )
        best: dict[str, SkillHit] = {}
        for hit in ordered:
            best.setdefault(hit.agent_id, hit)
        return greedy(tuple(_candidate(hit, cards[hit.agent_id]) for hit in best.values()))


def nearness_of(candidate: Candidate) -> float | None:
    """The cosine that the candidate was found by, as ``CosineRanker`` counts it; None where the record has none."""
    dense = candidate.scores.get("dense")
    return None if dense is None else max(dense, candidate.scores.get("example", -1.0) - EXAMPLE_DISCOUNT)


def doubt_at(cosine: float) -> float:
    """The chance, 0 to 1, that nobody serves a request whose nearest skill scores this."""
    return 1.0 / (1.0 + math.exp(DOUBT_SLOPE * cosine - DOUBT_BIAS))


def greedy(ordered: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The propensities of always choosing the first."""
    return tuple(
        candidate.model_copy(update={"probability": 1.0 if place == 0 else 0.0})
        for place, candidate in enumerate(ordered)
    )


def unchosen(ordered: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The propensities when nobody was chosen."""
    return tuple(candidate.model_copy(update={"probability": 0.0}) for candidate in ordered)


def _candidate(hit: SkillHit, card: AgentCard) -> Candidate:
    dense = round(hit.similarity, SCORE_DIGITS) + 0.0  # no negative zero
    skill = card.skill(hit.skill_id)
    scores, reasons = {"dense": dense}, [f"closest skill: {_first_words(skill.description)} ({dense:.2f})"]
    if hit.example_similarity is not None:
        scores["example"] = round(hit.example_similarity, SCORE_DIGITS) + 0.0
    score = _score(hit)
    if score > dense and hit.example is not None and hit.example < len(skill.examples):
        reasons.insert(0, f'like its example "{_first_words(skill.examples[hit.example])}" ({scores["example"]:.2f})')
    return Candidate(agent_id=hit.agent_id, skill_id=hit.skill_id, score=score, scores=scores, reasons=tuple(reasons))


def _score(hit: SkillHit) -> float:
    """The cosine of the skill's own words, or that of its nearest example less the discount."""
    by_example = (hit.example_similarity if hit.example_similarity is not None else -1.0) - EXAMPLE_DISCOUNT
    return round(max(hit.similarity, by_example), SCORE_DIGITS) + 0.0


def _is_on_its_card(hit: SkillHit, cards: dict[str, AgentCard]) -> bool:
    """The index may be a moment behind the registry."""
    card = cards.get(hit.agent_id)
    return card is not None and any(skill.id == hit.skill_id for skill in card.skills)


def _first_words(description: str, limit: int = 80) -> str:
    line = " ".join(description.split()).rstrip(".")
    return line if len(line) <= limit else line[: limit - 1].rsplit(" ", 1)[0] + "…"

"""One search, by meaning and by words: what to ask of an engine, and how its answers become hits.

Called by both index adapters. An engine answers with points; a search wants skills, each with both its scores. So more
points are asked for than skills, and a skill that only one side found is compared on the other side afterwards.
"""

from dataclasses import dataclass

from agents.ports.skill_index import IndexFilter, SkillHit, WordQuery
from agents.registry.skill_index.filters import refuse_contradictions
from agents.registry.skill_index.points import POINTS_PER_SKILL, Found, Gathered, checked
from agents.registry.skill_index.words import Sparse, lexical_share, sparse_query
from tensor_layer.ports import Vector

MOST_POINTS = 16_384


@dataclass(frozen=True, slots=True)
class Question:
    """A search, checked. ``words`` is empty when it goes by meaning alone."""

    vector: list[float]
    where: IndexFilter
    limit: int
    words: Sparse
    weight: float

    @classmethod
    def of(cls, vector: Vector, where: IndexFilter, limit: int, words: WordQuery | None, dimension: int) -> "Question":
        """Raises FilterContradiction; ValueError for a vector, limit or weight that cannot be."""
        refuse_contradictions(where)
        if limit < 1:
            raise ValueError(f"a search finds at least one skill; got the limit {limit}")
        if words is not None and not 0.0 <= words.weight <= 1.0:
            raise ValueError(f"the weight of words is 0 to 1; got {words.weight}")
        sparse: Sparse = ([], []) if words is None else sparse_query(words.text)
        weight = words.weight if words is not None and sparse[0] else 0.0
        return cls(checked(vector, dimension).tolist(), where, limit, sparse, weight)

    @property
    def nobody(self) -> bool:
        """Whether no agent is allowed."""
        return self.where.agents is not None and not self.where.agents

    @property
    def by_words(self) -> bool:
        """Whether there is a word to look for."""
        return bool(self.words[0])

    def first_points(self, *, lone: bool) -> int:
        """How many points to ask for at first. ``lone``: every skill is one point."""
        return self.limit if lone else self.limit * POINTS_PER_SKILL

    def hits(self, gathered: Gathered, points: int) -> list[SkillHit]:
        """The answer, from everything gathered of an index with so many points."""
        scored = [self._scored(found, points) for found in gathered.skills.values() if found.likeness is not None]
        # Equal ones in the order of agent and skill id, so that every run answers alike.
        scored.sort(key=lambda one: (-round(one[0], 6), one[1].agent_id, one[1].skill_id))
        return [hit for _, hit in scored[: self.limit]]

    def _scored(self, found: Found, points: int) -> tuple[float, SkillHit]:
        likeness = found.likeness or 0.0
        lexical = lexical_share(found.bm25 or 0.0, len(self.words[0]), points) if self.by_words else 0.0
        hit = SkillHit(
            found.payload["agent"],
            found.payload["skill"],
            likeness if found.own is None else found.own,
            lexical,
            found.nearest,
            found.example,
        )
        return (1.0 - self.weight) * likeness + self.weight * lexical, hit


def is_enough(gathered: Gathered, wanted: int, answered: int, asked: int) -> bool:
    """Whether no more points are worth asking for: the skills suffice, or there are no more, or it goes too far."""
    return len(gathered.skills) >= wanted or answered < asked or asked >= MOST_POINTS

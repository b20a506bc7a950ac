"""Where skills are found by vector and by words. Filled by `registry`, asked by `matching`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.parts import Modality
from tensor_layer.ports import Vector


@dataclass(frozen=True, slots=True)
class SkillPoint:
    """One vector of a skill as the index stores it: the skill's own, or that of one of its examples.

    ``vector`` is (dimension,) float32 unit-norm. ``words`` are what the lexical side finds the skill by; examples have
    none of their own. ``needs`` are modalities that a task must carry; ``cost`` is per call.
    """

    tenant: str
    agent_id: str
    skill_id: str
    vector: Vector
    inputs: frozenset[Modality]
    tags: frozenset[str] = frozenset()
    words: str = ""
    example: int | None = None
    needs: frozenset[Modality] = frozenset()
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class SkillHit:
    """One skill found, each once. ``similarity`` is the cosine of the skill's own words, name, description and all.

    ``example_similarity`` is that of the nearest of its examples, number ``example``; None when it has none. Examples
    are short and lie nearer to any question: compare them with other skills' examples, not with ``similarity``.
    ``lexical`` is the share of the question's words that the skill has, 0 to 1, rare words first; 0 when the search
    asked for no words. All are given for every hit, so that whoever ranks can weigh them as it learned to.
    """

    agent_id: str
    skill_id: str
    similarity: float
    lexical: float = 0.0
    example_similarity: float | None = None
    example: int | None = None


@dataclass(frozen=True, slots=True)
class IndexFilter:
    """What is applied inside the index, before similarity. The index refuses contradictions with FilterContradiction.

    ``tags`` (a task's required capabilities): all of them; ``without_tags``: none of them. ``skills``: one of these
    ids. ``inputs``: reads at least one of these modalities. ``carried``: needs nothing that is not among these.
    ``alive_only``: not known to be dead. ``cost_max``: per call, inclusive. None and empty sets of the others do not
    filter; no agent is an answer, not a contradiction: nobody is found.
    """

    tenant: str
    agents: frozenset[str] | None = None
    without_agents: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    without_tags: frozenset[str] = frozenset()
    skills: frozenset[str] = frozenset()
    inputs: frozenset[Modality] = frozenset()
    carried: frozenset[Modality] | None = None
    alive_only: bool = False
    cost_max: float | None = None


EXAMPLE_WEIGHT = 0.25
"""Of the nearest example against the skill's own words, in the order of hits. Measured on the sample agents, 69
requests and 69 off-topic ones: AUC 0.983 without, 0.987 with it; 0.988 with 0.75, which ranks 1 % of them worse."""


LEXICAL_WEIGHT = 0.3
"""Of ``lexical`` against ``similarity`` until a ranker has learned better. Measured in docs/matching-index.md."""


@dataclass(frozen=True, slots=True)
class WordQuery:
    """The lexical side of a search. ``weight`` 0 to 1 is its share in the order of the hits, and so in who is found."""

    text: str
    weight: float = LEXICAL_WEIGHT


class SkillIndex(Protocol):
    """Nearest skills. Derived from the registry; may be rebuilt at any time. Calls do not block the event loop."""

    async def replace(self, tenant: str, agent_id: str, points: Sequence[SkillPoint], mark: str = "") -> None:
        """Make these the agent's only points (none removes it); visible to the next search.

        ``mark`` is kept with them: whoever fills the index knows by it whether what lies there is still right.
        """
        ...

    async def marks(self) -> dict[tuple[str, str], str]:
        """The marks of all agents that were here when the index was opened, by tenant and agent id."""
        ...

    async def note_health(self, tenant: str, agent_id: str, *, dead: bool) -> None:
        """Searches with ``alive_only`` leave dead agents out. Unknown agents are remembered for when they come."""
        ...

    async def search(
        self, vector: Vector, where: IndexFilter, limit: int, words: WordQuery | None = None
    ) -> list[SkillHit]:
        """The nearest skills, best first; several skills of one agent may be among them.

        A skill is as near as the weighted sum of its own similarity and its nearest example's (``EXAMPLE_WEIGHT``).
        With ``words``, skills near by meaning and skills near by words, ordered by the weighted sum of both.
        Raises FilterContradiction.
        """
        ...

    async def count(self) -> int:
        """How many points the index holds."""
        ...

    async def close(self) -> None:
        """Release files and memory. Nothing may be called afterwards."""
        ...

"""Who can do a goal, and in which order they are asked: the matcher, its rankers, and the learned policies."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agents.ports.skill_index import IndexFilter, SkillHit
from schemas.candidate import Candidate, MatchReport
from schemas.card import AgentCard
from schemas.parts import Modality
from schemas.task import RoutingHints, TaskSubmitted
from tensor_layer.ports import Vector


class Ranker(Protocol):
    """Orders candidates. Cosine now; the learned ranker slots in here."""

    @property
    def policy(self) -> str:
        """The version that decisions record."""
        ...

    def rank(self, hits: Sequence[SkillHit], cards: dict[str, AgentCard]) -> tuple[Candidate, ...]:
        """Candidates with scores, propensities and reasons, best first, one for each agent."""
        ...


@dataclass(frozen=True, slots=True)
class Lot:
    """What is drawn for one task: which policy decides it, and whether it may try somebody else than the best.

    ``edition`` grows with everything the policy learns. Tasks with equal lots are decided alike. ``ticket`` is uniform
    in [0, 1), and there only for the tasks that may explore.
    """

    policy: str
    edition: int
    bound: float = 0.0
    ticket: float | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """Candidates with their propensities, in the order in which they are asked: the best first, and where exploring is
    allowed the most hopeful of the others third. ``doubt`` is the chance that nobody can do it, ``threshold`` the score
    below which a candidate is no good, ``abstained`` whether all are.
    """

    candidates: tuple[Candidate, ...]
    threshold: float
    doubt: float
    abstained: bool


class PolicyRanker(Protocol):
    """Orders candidates by what was learned. Does not block; the past of a large tenant costs about a millisecond."""

    @property
    def policy(self) -> str:
        """The version that decisions record."""
        ...

    def nominees(self, vector: Vector) -> tuple[str, ...]:
        """Agents that did well at tasks like this, however far their cards are; best first."""
        ...

    def rank(
        self, vector: Vector, hits: Sequence[SkillHit], cards: dict[str, AgentCard], load: Callable[[str], float],
        bound: float, threshold: float | None, limit: int,
    ) -> Ranked:  # fmt: skip
        """At most ``limit`` candidates, one for each agent.

        ``bound`` is the share of tasks that may try another than the best. ``threshold`` is the
        cosine below which a card alone is too far; None: nobody is.
        """
        ...

    def explained(self, vector: Vector, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """The same with features, their contributions and the past tasks that counted."""
        ...


class Policies(Protocol):
    """What routing has learned, kept current. Reads are local."""

    def lot(self, tenant: str, task_id: str | None) -> Lot | None:
        """What is drawn for the task; the same for the same task as long as nothing is learned or changed.

        Without a task: the policy in force, and nothing is tried. None: no policy, the built-in order.
        """
        ...

    def ranker(self, tenant: str, lot: Lot) -> PolicyRanker | None:
        """The ranker of that lot's policy; None when it is gone meanwhile."""
        ...


class Matcher(Protocol):
    """Finds who can do a goal."""

    def lot(self, task: TaskSubmitted) -> Lot | None:
        """What is drawn for this task: part of what a decision depends on. None: the built-in order decides."""
        ...

    async def match(
        self,
        tenant: str,
        goal: str,
        vector: Vector,
        modalities: frozenset[Modality],
        hints: RoutingHints,
        limit: int = 8,
        lot: Lot | None = None,
    ) -> MatchReport:
        """Filters, then similarity, then rank; ``abstained`` when nobody is good enough. Never raises for that.

        ``lot`` is what was drawn for the task; without one the policy in force decides and tries nobody.
        Skills whose inputs do not meet ``modalities`` stay in: the planner may bridge them with another agent.
        """
        ...

    async def search(
        self, tenant: str, text: str, vector: Vector, limit: int = 10, where: IndexFilter | None = None
    ) -> MatchReport:
        """The agents nearest to some words, best first, however far they are, among those that ``where`` allows."""
        ...

    def explained(self, tenant: str, report: MatchReport, vector: Vector) -> MatchReport:
        """The report with what the policy saw of each candidate; the same report when no policy made it."""
        return report

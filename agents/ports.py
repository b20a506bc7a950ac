"""What the self-organising layer needs from outside. Each port is tiny and owned here, by its consumer."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from schemas.candidate import Candidate, Excluded, MatchReport
from schemas.card import AgentCard, CardRevision, Liveness
from schemas.invocation import Invocation, InvocationReply
from schemas.network import Plan
from schemas.parts import Modality, Part
from schemas.task import RoutingHints, StepOutcome, TaskEventKind, TaskSubmitted
from tensor_layer.ports import Perceived, Vector


class Registry(Protocol):
    """The truth about agents: a versioned key-value bucket."""

    async def register(self, card: AgentCard) -> CardRevision:
        """Store the card as a new version; an identical card stores nothing and returns the present revision."""
        ...

    async def get(self, tenant: str, agent_id: str) -> CardRevision:
        """The present version. Raises AgentNotFound."""
        ...

    async def list_cards(self, tenant: str | None = None) -> list[CardRevision]:
        """All present cards, ordered by tenant and id."""
        ...

    async def history(self, tenant: str, agent_id: str) -> list[CardRevision]:
        """Every version kept, oldest first, removals included. Raises AgentNotFound."""
        ...

    async def remove(self, tenant: str, agent_id: str) -> None:
        """Take the agent out; its history stays. Raises AgentNotFound."""
        ...

    async def last_revision(self) -> int:
        """The number of the newest change, whatever it changed; 0 before the first."""
        ...

    def watch(self) -> AsyncIterator[CardRevision]:
        """Every present card, then every change as it happens, for ever. Survives reconnects."""
        ...


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


class Fleet(Protocol):
    """The worker's live view of the registry: cards and health, kept current by watching; reads are local."""

    def cards(self, tenant: str) -> dict[str, AgentCard]:
        """Present cards of the tenant by agent id."""
        ...

    def liveness(self, tenant: str, agent_id: str) -> Liveness:
        """ALIVE within the heartbeat TTL, DEAD past it."""
        ...

    def load(self, tenant: str, agent_id: str) -> float:
        """The load the agent last reported."""
        ...

    @property
    def version(self) -> int:
        """Grows with every change of cards, index or liveness: decisions made under one version may be kept for it."""
        ...


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


class Planner(Protocol):
    """Turns a perceived task into a validated plan."""

    async def plan(self, task: TaskSubmitted, perceived: Perceived) -> "Planned":
        """Raises NoAgentFits, NoNetworkFits."""
        ...


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with the match reports it was made from (one for each goal)."""

    plan: Plan
    matches: tuple[MatchReport, ...]
    match_ms: float = 0.0
    plan_ms: float = 0.0

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All candidates of all goals, best first, each agent once."""
        best: dict[str, Candidate] = {}
        for report in self.matches:
            for candidate in report.candidates:
                if candidate.agent_id not in best or candidate.score > best[candidate.agent_id].score:
                    best[candidate.agent_id] = candidate
        return tuple(sorted(best.values(), key=lambda c: -c.score))

    @property
    def policy(self) -> str:
        """The version of the ranking policy that decided."""
        return self.matches[0].policy if self.matches else "cosine-1"

    @property
    def exploratory(self) -> bool:
        """Whether somebody else than the best known was put first, to learn."""
        found = (report.candidates for report in self.matches if not report.abstained)
        return any(few[0].probability < max(one.probability for one in few) for few in found if few)

    @property
    def excluded(self) -> tuple[Excluded, ...]:
        """Who was not eligible."""
        return tuple({e.agent_id: e for report in self.matches for e in report.excluded}.values())


class Connector(Protocol):
    """Reaches agents of one endpoint kind. One attempt; retries and breakers wrap it."""

    async def invoke(self, card: AgentCard, invocation: Invocation, timeout_s: float) -> InvocationReply:
        """Raises StepTimedOut, AgentUnreachable, BadReply. A reply that carries an error is returned, not raised."""
        ...

    async def probe(self, card: AgentCard) -> bool | None:
        """Whether the agent can work now; None when it announces itself by heartbeat instead."""
        ...

    async def close(self) -> None:
        """Stop children and connections."""
        ...


Tell = Callable[[TaskEventKind, dict[str, Any]], Awaitable[None]]
"""Publishes one moment of the task's life; must not raise for a slow bus."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """All the runner needs: the plan, the parts as perceived, and what was already approved."""

    task: TaskSubmitted
    plan: Plan
    parts: tuple[Part, ...]
    cards: dict[str, AgentCard]
    approved: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How the run ended: with outputs, or waiting for approval of ``waiting_for``."""

    outputs: tuple[Part, ...] = ()
    steps: tuple[StepOutcome, ...] = ()
    cost: float = 0.0
    waiting_for: tuple[str, ...] = ()
    resumed_steps: int = field(default=0)


class Runner(Protocol):
    """Executes a plan durably. Called again after a crash, it resumes after the last stored step."""

    async def run(self, request: RunRequest, tell: Tell) -> RunOutcome:
        """Raises StepFailed, DeadlineExceeded, BudgetExceeded; asyncio.CancelledError passes through untouched."""
        ...

    async def forget(self, tenant: str, task_id: str) -> None:
        """Drop the task's checkpoints once its result is stored."""
        ...

"""Finds who can do a goal: may, near, in order. Called by the planner, by explain and by `aos agents search`."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from agents.matching.drawing import drawn_for
from agents.matching.eligibility import why_not
from agents.matching.ranking import doubt_at, greedy, unchosen
from agents.matching.remembered import Remembered
from agents.matching.routing_rules import preferred_first
from agents.ports.matching import Lot, Policies, PolicyRanker, Ranked, Ranker
from agents.ports.registry import Fleet
from agents.ports.skill_index import IndexFilter, SkillHit, SkillIndex, WordQuery
from schemas.candidate import Candidate, Excluded, MatchReport
from schemas.card import AgentCard
from schemas.parts import Modality
from schemas.task import RoutingHints, TaskSubmitted
from tensor_layer.ports import Vector

ABSTAIN_THRESHOLD = 0.25
"""Measured with all-MiniLM-L6-v2 on 13 sample agents, 69 requests that one of them serves and 69 that none does: keeps
96 % of the first and refuses 93 % of the second (0.20: 99 and 81; 0.30: 90 and 99). A wrongly refused request is
answered at once and can be put better; a wrongly accepted one costs an agent's time, so the point lies between.
tests/unit/agents/matching/test_abstain_threshold.py holds both sets and repeats the measurement.
"""

KEPT_REPORTS = 1_024
KEPT_EXCLUSIONS = 128

LISTED_EXCLUDED = 200
"""A fleet of so many agents is looked at whole, to say of each why it may not. Of a larger one, only those are looked
at that are near: a match costs the same whatever the size of the fleet, and the report stays small."""

HITS_PER_CANDIDATE = 4
MOST_HITS = 2_048


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """What is asked. A search has no ``modalities`` to filter by and no ``threshold`` to abstain by; it may say
    ``where`` itself."""

    tenant: str
    vector: Vector
    modalities: frozenset[Modality] | None
    hints: RoutingHints
    limit: int
    threshold: float | None
    lot: Lot | None = None
    where: IndexFilter | None = None


class SkillMatcher:
    """ports.Matcher. Safe for concurrent use. Reports are kept while the fleet's version stays: a warm one costs µs."""

    def __init__(
        self,
        index: SkillIndex,
        fleet: Fleet,
        ranker: Ranker,
        abstain_threshold: float = ABSTAIN_THRESHOLD,
        policies: Policies | None = None,
    ) -> None:
        self._index = index
        self._fleet = fleet
        self._ranker = ranker
        self._abstain_threshold = abstain_threshold
        self._policies = policies
        self._reports: Remembered[MatchReport] = Remembered(KEPT_REPORTS)
        self._exclusions: Remembered[dict[str, str]] = Remembered(KEPT_EXCLUSIONS)

    def lot(self, task: TaskSubmitted) -> Lot | None:
        """What is drawn for this task; None where nothing was learned: then similarity decides."""
        return self._policies.lot(task.tenant, task.task_id) if self._policies else None

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
        """Filters, then similarity, then rank; ``abstained`` when nobody is good enough, or a pinned agent is missing.

        ``vector`` is (dimension,) float32 unit-norm. Raises IndexUnavailable when a remote index does not answer.
        """
        if lot is None and self._policies is not None:
            lot = self._policies.lot(tenant, None)
        # What is remembered is shared by all tasks that ask alike; whom a task may try is drawn for it alone.
        shared = replace(lot, ticket=None) if lot else None
        asked = _Question(tenant, vector, modalities, hints, limit, self._abstain_threshold, shared)
        report = await self._answer(goal, asked)
        return drawn_for(report, lot.ticket) if lot and lot.ticket is not None and not hints.pin else report

    async def search(
        self, tenant: str, text: str, vector: Vector, limit: int = 10, where: IndexFilter | None = None
    ) -> MatchReport:
        """The agents nearest to some words, however far they are, among those that ``where`` allows."""
        return await self._answer(text, _Question(tenant, vector, None, RoutingHints(), limit, None, where=where))

    def explained(self, tenant: str, report: MatchReport, vector: Vector) -> MatchReport:
        """The report with what the policy saw of each candidate."""
        lot = self._policies.lot(tenant, None) if self._policies else None
        ranker = self._policies.ranker(tenant, replace(lot, policy=report.policy)) if self._policies and lot else None
        if ranker is None:
            return report
        return report.model_copy(update={"candidates": ranker.explained(vector, report.candidates)})

    async def _answer(self, goal: str, asked: _Question) -> MatchReport:
        # The version is read before anything it covers: a change meanwhile only wastes this entry.
        version = self._fleet.version(asked.tenant)
        about = (asked.tenant, asked.modalities, asked.hints, version)
        key = (asked.vector.tobytes(), asked.limit, asked.threshold, asked.lot, asked.where, about)
        report = self._reports.get(key)
        if report is None:
            excluded = self._exclusions.get(about)
            if excluded is None:
                excluded = self._excluded_of_small_fleet(asked)
                self._exclusions.keep(about, excluded)
            report = await self._decide(goal, asked, excluded)
            self._reports.keep(key, report)
        return report if report.goal == goal else report.model_copy(update={"goal": goal})

    async def _decide(self, goal: str, asked: _Question, excluded: dict[str, str]) -> MatchReport:
        cards = self._fleet.cards(asked.tenant)
        missing = self._reasons(asked, asked.hints.pin)
        ranker = self._policies.ranker(asked.tenant, asked.lot) if self._policies and asked.lot else None
        hits, near_but_excluded = await self._near(asked, ranker, goal)
        decided = self._ranked(asked, ranker, hits, cards)
        ranked = decided.candidates
        if asked.hints.pin and not missing:
            ranked = await self._pinned_first(asked, ranked, cards)
        abstained = bool(missing) or not ranked or (decided.abstained and not asked.hints.pin)
        if not asked.hints.pin:
            ranked = preferred_first(ranked, asked.hints.prefer, decided.threshold)
        candidates = ranked[: asked.limit]
        return MatchReport(
            goal=goal,
            candidates=unchosen(candidates) if abstained else candidates,
            excluded=_told(missing, {**near_but_excluded, **excluded}),
            abstained=abstained,
            threshold=decided.threshold,
            doubt=decided.doubt,
            policy=ranker.policy if ranker else self._ranker.policy,
        )

    def _ranked(
        self, asked: _Question, ranker: PolicyRanker | None, hits: list[SkillHit], cards: dict[str, AgentCard]
    ) -> Ranked:
        """By the policy that was drawn, else by similarity."""
        if ranker is None or asked.lot is None:
            plain = self._ranker.rank(hits, cards)
            too_far = bool(plain) and asked.threshold is not None and plain[0].score < asked.threshold
            doubt = doubt_at(plain[0].score) if plain else 1.0
            return Ranked(plain, asked.threshold or 0.0, doubt, abstained=too_far)

        def load(agent_id: str) -> float:
            return self._fleet.load(asked.tenant, agent_id)

        return ranker.rank(asked.vector, hits, cards, load, asked.lot.bound, asked.threshold, asked.limit)

    def _reasons(self, asked: _Question, agent_ids: Iterable[str]) -> dict[str, str]:
        """Those of the agents that may not be chosen, with the reason."""
        cards = self._fleet.cards(asked.tenant)
        reasons = {
            agent_id: why_not(
                cards.get(agent_id), self._fleet.liveness(asked.tenant, agent_id), asked.modalities, asked.hints
            )
            for agent_id in agent_ids
        }
        return {agent_id: reason for agent_id, reason in reasons.items() if reason is not None}

    def _excluded_of_small_fleet(self, asked: _Question) -> dict[str, str]:
        cards = self._fleet.cards(asked.tenant)
        return self._reasons(asked, sorted(cards)) if len(cards) <= LISTED_EXCLUDED else {}

    async def _near(
        self, asked: _Question, ranker: PolicyRanker | None, goal: str
    ) -> tuple[list[SkillHit], dict[str, str]]:
        """Those whose cards are near, and those who did well at such tasks; and who was found but may not be chosen."""
        words = WordQuery(goal) if ranker else None  # similarity alone would not know what to make of words
        hits, reasons = await self._near_by_card(asked, words)
        found = {hit.agent_id for hit in hits} | reasons.keys()
        nominees = [one for one in ranker.nominees(asked.vector) if one not in found] if ranker else []
        barred = self._reasons(asked, nominees)
        fit = frozenset(nominees) - barred.keys()
        if fit:
            where = IndexFilter(asked.tenant, agents=fit)
            hits = hits + await self._index.search(asked.vector, where, len(fit) * HITS_PER_CANDIDATE, words)
        return hits, reasons

    async def _near_by_card(self, asked: _Question, words: WordQuery | None) -> tuple[list[SkillHit], dict[str, str]]:
        """Hits of ``limit`` agents that may be chosen, when there are so many, and who was near but may not.

        One agent's many skills, or many dead agents, must not hide the others: then more hits are asked for.
        """
        hints = asked.hints
        where = asked.where or IndexFilter(
            asked.tenant, without_agents=frozenset(hints.exclude), tags=frozenset(hints.required_capabilities)
        )
        count = asked.limit * HITS_PER_CANDIDATE
        reasons: dict[str, str] = {}
        while True:
            hits = await self._index.search(asked.vector, where, count, words)
            reasons |= self._reasons(asked, {hit.agent_id for hit in hits})
            fit = [hit for hit in hits if hit.agent_id not in reasons]
            enough = len({hit.agent_id for hit in fit}) >= asked.limit
            if enough or len(hits) < count or count >= MOST_HITS:
                return fit, reasons
            count *= HITS_PER_CANDIDATE
            # Who is near and may not be chosen was told above; from here on the index leaves them out by itself.
            where = replace(where, alive_only=True, carried=asked.modalities)

    async def _pinned_first(
        self, asked: _Question, ranked: tuple[Candidate, ...], cards: dict[str, AgentCard]
    ) -> tuple[Candidate, ...]:
        pins = tuple(dict.fromkeys(asked.hints.pin))
        count = sum(len(cards[pin].skills) for pin in pins)
        hits = await self._index.search(asked.vector, IndexFilter(asked.tenant, agents=frozenset(pins)), count)
        found = {candidate.agent_id: candidate for candidate in self._ranker.rank(hits, cards)}
        pinned = [_pin(found[pin], place, len(pins)) for place, pin in enumerate(pins) if pin in found]
        return greedy([*pinned, *(candidate for candidate in ranked if candidate.agent_id not in found)])


def _pin(candidate: Candidate, place: int, pins: int) -> Candidate:
    """Scored above every cosine, in the order of the pins: whoever sorts by score keeps the pinned first."""
    score = 1.0 + pins - place
    return candidate.model_copy(update={"score": score, "reasons": ("pinned by the task", *candidate.reasons)})


def _told(missing_pins: dict[str, str], others: dict[str, str]) -> tuple[Excluded, ...]:
    """The missing pins first, then the others in the order of their ids."""
    pins = [(pin, f"is pinned by the task, but {reason}") for pin, reason in missing_pins.items()]
    rest = [(agent_id, reason) for agent_id, reason in sorted(others.items()) if agent_id not in missing_pins]
    return tuple(Excluded(agent_id=agent_id, reason=reason) for agent_id, reason in [*pins, *rest][:LISTED_EXCLUDED])

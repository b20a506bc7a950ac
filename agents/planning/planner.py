"""Turns a perceived task into a validated plan. Called by the task's journey once perception is done."""

import asyncio
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

from agents.errors import NoAgentFits, NoNetworkFits, NoNetworkGoodEnough
from agents.planning.bridge import Nearness
from agents.planning.catalogue import Catalogue, Eligible
from agents.planning.complexity import Goal, TaskAnalysis, analyse, request_words
from agents.planning.errands import errands_of, fits_of
from agents.planning.estimate import plan_of
from agents.planning.greedy import Commission
from agents.planning.nearness import EncodeTexts, Proximity
from agents.planning.offers import Kinds, Offer
from agents.planning.pasts import Pasts
from agents.planning.pinning import as_pinned, pinned_reports
from agents.planning.promise import promise_of
from agents.planning.refusals import left, nobody, too_poor
from agents.planning.substitutes import substitutes_of
from agents.planning.thrift import CHEAPER_TRIES, weave_within
from agents.planning.wording import about_its_text
from agents.ports.matching import Matcher
from agents.ports.planning import Planned
from agents.ports.registry import Fleet
from schemas.candidate import MatchReport
from schemas.card import AgentCard, Liveness
from schemas.network import Network, Plan
from schemas.refinement import Errand
from schemas.task import RoutingHints, TaskSubmitted
from tensor_layer.ports import Perceived, Vector

Threshold = Callable[[str], float]
"""The chance of success that a tenant's plans must promise, 0 to 1."""


@dataclass(frozen=True, slots=True)
class _Matched:
    """A reading of the task, with who could do each of its goals."""

    analysis: TaskAnalysis
    vectors: Vector
    reports: tuple[MatchReport, ...]

    @property
    def abstained(self) -> MatchReport | None:
        return next((report for report in self.reports if report.abstained or not report.candidates), None)


@dataclass(frozen=True, slots=True)
class Woven:
    """A network woven for one task, with all it was made from: what a search for a better one starts from.

    ``errands`` is None when the goals of its nodes cannot be told apart; then it serves this one task only.
    """

    analysis: TaskAnalysis
    reports: tuple[MatchReport, ...]
    network: Network
    errands: Mapping[str, Errand] | None
    fits: Mapping[str, float]
    planned: Planned


class GreedyPlanner:
    """Implements ``ports.Planner``. Safe for concurrent use. Nothing is remembered here: see `evolving.live`."""

    def __init__(
        self,
        matcher: Matcher,
        fleet: Fleet,
        encode_texts: EncodeTexts,
        *,
        pasts: Pasts | None = None,
        quality_threshold: Threshold = lambda _tenant: 0.0,
    ) -> None:
        self._matcher = matcher
        self._fleet = fleet
        self._encode = encode_texts
        self._pasts = pasts or Pasts()
        self._quality_threshold = quality_threshold
        self._proximity = Proximity(encode_texts)
        self._catalogue = Catalogue()

    async def plan(self, task: TaskSubmitted, perceived: Perceived) -> Planned:
        """The plan of a task. Raises NoAgentFits, NoNetworkFits, NoNetworkGoodEnough, BudgetExceeded."""
        return (await self.weave(task, perceived)).planned

    async def weave(self, task: TaskSubmitted, perceived: Perceived) -> Woven:
        """The greedy network of a task and its plan. Raises as ``plan`` does."""
        started = time.perf_counter()
        matched = await self._matched(task, perceived)
        matched_ms = _since_ms(started)
        offers = self._eligible(task.tenant, task.routing)
        network = await self._within_budget(task, matched, offers)
        errands = errands_of(network, matched.analysis.goals)
        fits = fits_of(network, errands, matched.reports) if errands else {}
        plan = self.plan_for(task, network, fits)
        if errands and not task.routing.pin:
            cards = self._fleet.cards(task.tenant)
            spare = substitutes_of(network, errands, matched.reports, offers, cards)
            plan = plan.model_copy(update={"substitutes": spare})
        planned = Planned(plan, matched.reports, matched_ms, _since_ms(started) - matched_ms)
        return Woven(matched.analysis, matched.reports, network, errands, fits, planned)

    def learned(self, tenant: str) -> Hashable:
        """Changes with whatever else a plan of the tenant promises."""
        return self._pasts.of(tenant).steps.tasks, self._quality_threshold(tenant)

    def plan_for(self, task: TaskSubmitted, network: Network, fits: Mapping[str, float]) -> Plan:
        """The plan that runs this network, with what it promises. Raises NoNetworkFits and NoNetworkGoodEnough."""
        cards = self._fleet.cards(task.tenant)
        gone = [node.agent_id for node in network.nodes if node.agent_id not in cards]
        if gone:
            raise NoNetworkFits(left(gone))
        past = self._pasts.of(task.tenant)
        promise = promise_of(network, fits, past.steps, past.calibration)
        threshold = self._quality_threshold(task.tenant)
        if promise.quality.middle < threshold and not task.routing.pin:
            raise NoNetworkGoodEnough(too_poor(network, promise, threshold))
        return plan_of(network, cards, task_needs_approval=task.requires_approval, past=past.steps, promise=promise)

    async def _matched(self, task: TaskSubmitted, perceived: Perceived) -> _Matched:
        """Who could do each goal; when nobody can do one of them alone, who could do the request as a whole."""
        analysis = as_pinned(analyse(perceived.parts), task.routing)
        matched = await self._match_goals(task, perceived, analysis)
        if matched.abstained and len(analysis.goals) > 1 and not task.routing.pin:
            matched = await self._match_goals(task, perceived, analysis.whole())
        if matched.abstained:
            raise NoAgentFits(nobody(matched.abstained))
        return matched

    async def _match_goals(self, task: TaskSubmitted, perceived: Perceived, analysis: TaskAnalysis) -> _Matched:
        vectors = await self._goal_vectors(analysis, perceived)
        found = await asyncio.gather(
            *(
                self._match(task, goal, vector, analysis.modalities)
                for goal, vector in zip(analysis.goals, vectors, strict=True)
            )
        )
        reports = pinned_reports(tuple(found), task.routing, self._fleet.cards(task.tenant))
        return _Matched(analysis, vectors, reports)

    async def _match(self, task: TaskSubmitted, goal: Goal, vector: Vector, modalities: Kinds) -> MatchReport:
        """Who could do the goal, as it is worded or, where that fits clearly better, as said of plain text."""
        lot = self._matcher.lot(task)
        report = await self._matcher.match(task.tenant, goal.text, vector, modalities, task.routing, lot=lot)
        reworded = about_its_text(goal.text, goal.about)
        if reworded is None:
            return report
        (said,) = await self._encode([reworded.text])
        other = await self._matcher.match(task.tenant, reworded.text, said, modalities, task.routing, lot=lot)
        return other if _best_score(other) >= _best_score(report) + reworded.margin else report

    async def _goal_vectors(self, analysis: TaskAnalysis, perceived: Perceived) -> Vector:
        """(goals, dimension). A single goal that is all of the task's words already has its vector."""
        alone = len(analysis.goals) == 1 and analysis.goals[0].text == request_words(perceived.parts)
        if alone and perceived.vector is not None:
            return perceived.vector.reshape(1, -1)
        return await self._encode([goal.text for goal in analysis.goals])

    async def _within_budget(self, task: TaskSubmitted, matched: _Matched, offers: Eligible) -> Network:
        cards, past = self._fleet.cards(task.tenant), self._pasts.of(task.tenant).steps
        commission = _commission(matched, offers, await self._nearness(offers, matched))
        return weave_within(task.max_cost, commission, cards, past, 1 if task.routing.pin else CHEAPER_TRIES)

    async def _nearness(self, offers: Eligible, matched: _Matched) -> Nearness:
        """How near skills are to conversions: measured only when a network of several agents may be needed."""
        if _fits_at_once(matched, offers):
            return _unmeasured
        measured = await self._proximity.measure(offers.go_betweens, matched.vectors)
        return lambda offer, words: measured.get((offer.key, words), 0.0)

    def _eligible(self, tenant: str, hints: RoutingHints) -> Eligible:
        cards = self._fleet.cards(tenant)
        return Eligible(self._catalogue.of(tenant, cards), lambda agent_id: self._may_work(cards[agent_id], hints))

    def _may_work(self, card: AgentCard, hints: RoutingHints) -> bool:
        if card.id in hints.exclude or not set(hints.required_capabilities) <= set(card.tags):
            return False
        return self._fleet.liveness(card.tenant, card.id) is not Liveness.DEAD


def _commission(matched: _Matched, offers: Eligible, nearness: Nearness) -> Commission:
    return Commission(
        goals=matched.analysis.goals,
        reports=matched.reports,
        offers=offers,
        nearness=nearness,
        content=matched.analysis.content,
        task=matched.analysis.modalities,
    )


def _fits_at_once(matched: _Matched, offers: Mapping[tuple[str, str], Offer]) -> bool:
    """Whether one agent, the best candidate of the only goal, reads what is there and makes what is wanted."""
    if len(matched.analysis.goals) > 1:
        return False
    goal, report = matched.analysis.goals[0], matched.reports[0]
    best = offers.get((report.candidates[0].agent_id, report.candidates[0].skill_id))
    if best is None or (goal.wants is not None and goal.wants not in best.outputs):
        return False
    content: Kinds = matched.analysis.content
    return bool(best.inputs & content) and best.requires <= matched.analysis.modalities


def _unmeasured(_offer: Offer, _words: str) -> float:
    return 0.0


def _best_score(report: MatchReport) -> float:
    return max((candidate.score for candidate in report.candidates), default=-1.0)


def _since_ms(started: float) -> float:
    return (time.perf_counter() - started) * 1000.0

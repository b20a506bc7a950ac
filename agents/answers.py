"""Answers doors' questions on the bus: who would do this task, and which agents are near these words.

A dry run of the journey's first half (perceive -> match -> plan). Called by `services`.
"""

import time
from collections.abc import Callable, Mapping

import numpy as np

from agents.errors import AgentsError
from agents.matching.diversity import diverse
from agents.matching.ranking import unchosen
from agents.planning.drawing import draw
from agents.ports.matching import Matcher
from agents.ports.planning import Planned, Planner
from agents.ports.registry import Fleet
from agents.ports.skill_index import IndexFilter
from agents.registry.skill_text import skill_text
from schemas.candidate import Candidate, MatchReport
from schemas.card import AgentCard
from schemas.explain import Explanation, SearchReply, SearchRequest
from schemas.task import StageTimes, TaskFailure, TaskSubmitted
from tensor_layer.errors import TensorLayerError
from tensor_layer.ports import Perceived, Perceiver

DIVERSE_OF = 4
"""Of so many times as many as are asked for, the ones that are least alike are taken."""
SEARCHED_MOST = 200
LIKENESS_COUNTS, USUAL_LIKENESS = 1.0, 0.5
"""Who asks for different agents has no use for a double of one already taken; all that is near is half alike."""


class Answers:
    """Explains and searches, without doing anything."""

    def __init__(
        self,
        perceiver: Perceiver,
        planner: Planner,
        matcher: Matcher,
        fleet: Fleet,
        policy_problem: Callable[[str], str],
    ) -> None:
        self._perceiver = perceiver
        self._planner = planner
        self._matcher = matcher
        self._fleet = fleet
        self._policy_problem = policy_problem

    async def explain(self, task: TaskSubmitted) -> Explanation:
        """Who would be chosen for the task, and why. Refusals are part of the answer, never raised."""
        started = time.perf_counter()
        try:
            perceived = await self._perceiver.perceive(task.parts)
        except TensorLayerError as error:
            return Explanation(failure=TaskFailure(code=error.code, message=str(error)))
        perceive_ms = (time.perf_counter() - started) * 1e3
        try:
            planned = await self._planner.plan(task, perceived)
        except AgentsError as error:
            failure = TaskFailure(code=error.code, message=str(error))
            return Explanation(
                percept=perceived.percept,
                matches=await self._nearest(task, perceived),
                policy_problem=self._policy_problem(task.tenant),
                failure=failure,
                times=StageTimes(perceive_ms=perceive_ms),
            )
        explained = _explained(perceived, planned, perceive_ms)
        matches, problem = await self._reasons(task, explained.matches), self._policy_problem(task.tenant)
        return explained.model_copy(update={"matches": matches, "policy_problem": problem})

    async def _reasons(self, task: TaskSubmitted, reports: tuple[MatchReport, ...]) -> tuple[MatchReport, ...]:
        """The reports with what the learned policy saw: features, their contributions, the past tasks that counted."""
        if not reports:
            return reports
        vectors = await self._perceiver.encode_texts([report.goal for report in reports])
        pairs = zip(reports, vectors, strict=True)
        return tuple(self._matcher.explained(task.tenant, report, vector) for report, vector in pairs)

    async def search(self, request: SearchRequest) -> SearchReply:
        """The agents nearest to some words, best first, whether or not one is good enough."""
        vector = (await self._perceiver.encode_texts([request.text]))[0]
        looked_at = min(request.limit * DIVERSE_OF, SEARCHED_MOST) if request.diverse else request.limit
        report = await self._matcher.search(request.tenant, request.text, vector, looked_at, _where(request))
        if request.diverse:
            chosen = await self._unlike(request, report.candidates)
            report = report.model_copy(update={"candidates": unchosen(chosen)})
        return SearchReply(report=report)

    async def _unlike(self, request: SearchRequest, found: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
        """So many of the candidates as were asked for, of which no two are much alike by what their cards say."""
        cards = self._fleet.cards(request.tenant)
        present = [one for one in found if _is_on_its_card(one, cards)]
        if not present:
            return ()
        texts = [skill_text(cards[one.agent_id], cards[one.agent_id].skill(one.skill_id)) for one in present]
        values = np.array([one.score for one in present], dtype=np.float32)
        vectors = await self._perceiver.encode_texts(texts)
        places = diverse(values, vectors, request.limit, LIKENESS_COUNTS, USUAL_LIKENESS)
        return tuple(present[place] for place in places)

    async def _nearest(self, task: TaskSubmitted, perceived: Perceived) -> tuple[MatchReport, ...]:
        if perceived.vector is None:
            return ()
        modalities = frozenset(perceived.percept.modalities)
        report = await self._matcher.match(
            task.tenant, task.instruction()[:500], perceived.vector, modalities, task.routing
        )
        return (self._matcher.explained(task.tenant, report, perceived.vector),)


def _where(request: SearchRequest) -> IndexFilter:
    return IndexFilter(
        request.tenant,
        tags=frozenset(request.where.tags),
        without_tags=frozenset(request.where.without_tags),
        inputs=frozenset(request.where.reads),
        cost_max=request.where.max_cost,
    )


def _is_on_its_card(one: Candidate, cards: Mapping[str, AgentCard]) -> bool:
    """A card may have changed since it was found."""
    card = cards.get(one.agent_id)
    return card is not None and any(skill.id == one.skill_id for skill in card.skills)


def _explained(perceived: Perceived, planned: Planned, perceive_ms: float) -> Explanation:
    times = StageTimes(perceive_ms=perceive_ms, match_ms=planned.match_ms, plan_ms=planned.plan_ms)
    return Explanation(
        percept=perceived.percept,
        matches=planned.matches,
        plan=planned.plan,
        drawing=draw(planned.plan.network),
        times=times,
    )

"""Answers doors' questions on the bus: who would do this task, and which agents are near these words.

A dry run of the journey's first half (perceive -> match -> plan). Called by `services`.
"""

import time
from collections.abc import Callable

from agents.errors import AgentsError
from agents.planning.drawing import draw
from agents.ports import Matcher, Planned, Planner
from schemas.candidate import MatchReport
from schemas.explain import Explanation, SearchReply, SearchRequest
from schemas.task import StageTimes, TaskFailure, TaskSubmitted
from tensor_layer.errors import TensorLayerError
from tensor_layer.ports import Perceived, Perceiver


class Answers:
    """Explains and searches, without doing anything."""

    def __init__(
        self, perceiver: Perceiver, planner: Planner, matcher: Matcher, policy_problem: Callable[[str], str]
    ) -> None:
        self._perceiver = perceiver
        self._planner = planner
        self._matcher = matcher
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
        report = await self._matcher.search(request.tenant, request.text, vector, request.limit)
        return SearchReply(report=report)

    async def _nearest(self, task: TaskSubmitted, perceived: Perceived) -> tuple[MatchReport, ...]:
        if perceived.vector is None:
            return ()
        modalities = frozenset(perceived.percept.modalities)
        report = await self._matcher.match(
            task.tenant, task.instruction()[:500], perceived.vector, modalities, task.routing
        )
        return (report,)


def _explained(perceived: Perceived, planned: Planned, perceive_ms: float) -> Explanation:
    times = StageTimes(perceive_ms=perceive_ms, match_ms=planned.match_ms, plan_ms=planned.plan_ms)
    return Explanation(
        percept=perceived.percept,
        matches=planned.matches,
        plan=planned.plan,
        drawing=draw(planned.plan.network),
        times=times,
    )

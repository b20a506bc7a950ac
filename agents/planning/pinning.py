"""Agents that the client named must do the task, in that order. Pure; called by ``planner`` around matching."""

from collections.abc import Mapping
from dataclasses import replace

from agents.errors import NoAgentFits
from agents.planning.complexity import Goal, TaskAnalysis
from schemas.candidate import Candidate, MatchReport
from schemas.card import AgentCard
from schemas.task import RoutingHints


def as_pinned(analysis: TaskAnalysis, hints: RoutingHints) -> TaskAnalysis:
    """One goal for each pinned agent, each building on the one before; the analysis itself when none is pinned.

    When there are as many goals as pins they are dealt out in order; else every pinned agent gets the whole request.
    """
    if not hints.pin:
        return analysis
    goals = analysis.goals
    if len(goals) != len(hints.pin):
        whole = analysis.whole().goals[0]
        goals = tuple(whole for _ in hints.pin)
    return replace(analysis, goals=tuple(_in_order(goal, index) for index, goal in enumerate(goals)))


def pinned_reports(
    reports: tuple[MatchReport, ...], hints: RoutingHints, cards: Mapping[str, AgentCard]
) -> tuple[MatchReport, ...]:
    """The reports with only the pinned agent's skills as candidates. Raises NoAgentFits when it is not there."""
    if not hints.pin:
        return reports
    return tuple(_only(pin, report, cards) for pin, report in zip(hints.pin, reports, strict=True))


def _in_order(goal: Goal, index: int) -> Goal:
    return goal if index == 0 else replace(goal, depends_on_previous=True, about=frozenset())


def _only(pin: str, report: MatchReport, cards: Mapping[str, AgentCard]) -> MatchReport:
    card = cards.get(pin)
    if card is None:
        raise NoAgentFits(f"The pinned agent {pin!r} is not registered. See who is with: aos agents list")
    barred = next((excluded.reason for excluded in report.excluded if excluded.agent_id == pin), None)
    if barred is not None:
        raise NoAgentFits(f"The pinned agent {pin!r} cannot be chosen: {barred}")
    found = {candidate.skill_id: candidate for candidate in report.candidates if candidate.agent_id == pin}
    candidates = tuple(found.get(skill.id) or _named(card, skill.id) for skill in card.skills)
    ranked = tuple(sorted(candidates, key=lambda candidate: -candidate.score))
    return report.model_copy(update={"candidates": ranked, "abstained": False, "threshold": -1.0})


def _named(card: AgentCard, skill_id: str) -> Candidate:
    return Candidate(agent_id=card.id, skill_id=skill_id, score=-0.5, reasons=("pinned by the client",))

"""Who does each goal of a known kind of task, told as matching tells it. Pure; called by ``planner``."""

from agents.planning.complexity import TaskAnalysis
from agents.planning.planner import Woven
from schemas.candidate import Candidate, MatchReport
from schemas.refinement import PlanTemplate


def reports_of(analysis: TaskAnalysis, template: PlanTemplate, woven: Woven) -> tuple[MatchReport, ...]:
    """Who does each goal, and that the kind's network decided it; beside whom else matching named for these words."""
    if not template.refined:
        return woven.reports
    reports = []
    for place, goal in enumerate(analysis.goals):
        node = next(node for node in template.network.nodes if place in template.errands[node.id].goals)
        chosen = (node.agent_id, node.skill_id)
        named = woven.reports[place].candidates
        others = tuple(
            one.model_copy(update={"probability": 0.0}) for one in named if (one.agent_id, one.skill_id) != chosen
        )
        present = next((one for one in named if (one.agent_id, one.skill_id) == chosen), None)
        fit = template.fits.get(node.id, 0.0)
        first = present or Candidate(agent_id=node.agent_id, skill_id=node.skill_id, score=fit)
        first = first.model_copy(
            update={
                "scores": first.scores | {"kind": fit},
                "probability": 1.0,
                "reasons": (_reason(template), *first.reasons),
            }
        )
        # The arm of an experiment is told by the policy under which the kind is kept, whoever bettered its network.
        reports.append(MatchReport(goal=goal.text, candidates=(first, *others), policy=woven.reports[place].policy))
    return tuple(reports)


def _reason(template: PlanTemplate) -> str:
    times = "once" if template.refined == 1 else f"{template.refined} times"
    return f"the network of this kind of task ({template.kind}, bettered {times} by genetic search)"

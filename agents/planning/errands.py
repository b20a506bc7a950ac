"""Which goals each node of a network serves, and how well its skill suits them. Pure; called by ``planner``."""

import math
from collections.abc import Mapping, Sequence

from scipy.special import expit

from agents.matching.ranking import nearness_of
from agents.planning.complexity import Goal
from schemas.candidate import Candidate, MatchReport
from schemas.network import Network
from schemas.refinement import Errand

PRIOR_FIT_SLOPE = 8.0
PRIOR_FIT_AT_THRESHOLD = 0.5
"""The stated prior: a skill just near enough to be chosen suits its goal in 62 of 100 cases, one 0.2 nearer in 89."""
PRIOR_RIVAL_SLOPE = 20.0
"""And one 0.05 further away than the nearest suits it in a third as many: meaning decides before reliability."""
LEARNED = "learned"
STAND_IN_SHARE = 0.05
"""Of the chance of an agent that lacks its content: who has less is not what was meant. By the prior 0.15 of cosine."""


def errands_of(network: Network, goals: Sequence[Goal]) -> dict[str, Errand] | None:
    """What each node does, so that other words can take the place of these; None when that cannot be told.

    Fixed words are no goal's: they hold nothing of what this task says.
    """
    errands = {node.id: _errand(node.goal, goals) for node in network.nodes}
    if any(goal.text in errand.words for errand in errands.values() for goal in goals):
        return None
    served = {goal for errand in errands.values() for goal in errand.goals}
    said = all(words_of(errands[node.id], goals) == node.goal for node in network.nodes)
    return errands if said and served == set(range(len(goals))) else None


def words_of(errand: Errand, goals: Sequence[Goal]) -> str:
    """What the node is asked, in the words of this task."""
    return " and ".join(goals[goal].text for goal in errand.goals) if errand.goals else errand.words


def finishing(network: Network, errands: Mapping[str, Errand]) -> frozenset[str]:
    """Nodes that only put the answer to a goal into another form: who feeds them serves that goal already."""
    return frozenset(
        edge.target
        for edge in network.edges
        if edge.source in errands and set(errands[edge.source].goals) & set(errands[edge.target].goals)
    )


def fits_of(network: Network, errands: Mapping[str, Errand], reports: Sequence[MatchReport]) -> dict[str, float]:
    """By node: the chance that its skill suits its goals. Nodes that serve no goal, or finish another's, have none."""
    fits: dict[str, float] = {}
    last = finishing(network, errands)
    for node in network.nodes:
        if node.id in last:
            continue
        chances = [
            fit
            for goal in errands[node.id].goals
            if (fit := _fit_for(reports[goal], node.agent_id, node.skill_id)) is not None
        ]
        if chances:
            fits[node.id] = min(chances)
    return fits


def fit_of(candidate: Candidate, report: MatchReport) -> float:
    """The chance that the skill suits the goal: learned, or the prior by its distance to threshold and nearest."""
    if LEARNED in candidate.scores:
        return min(max(candidate.scores[LEARNED], 0.0), 1.0)
    alone = float(expit(PRIOR_FIT_AT_THRESHOLD + PRIOR_FIT_SLOPE * (candidate.score - report.threshold)))
    best = max(one.score for one in report.candidates)
    return alone * math.exp(-PRIOR_RIVAL_SLOPE * max(best - candidate.score, 0.0))


def is_poor_beside(candidate: Candidate, meant: Candidate, report: MatchReport, toll: float = 0.0) -> bool:
    """Whether next to nothing speaks for one beside the other: neither its card nor what it learned.

    What failed before is never reason enough: only an agent whose card is far can be poor. ``toll`` is what it takes
    to feed the candidate, in units of cosine.
    """
    further = _nearness(meant) - _nearness(candidate) + toll
    if math.exp(-PRIOR_RIVAL_SLOPE * further) >= STAND_IN_SHARE:
        return False
    return fit_of(candidate, report) < STAND_IN_SHARE * fit_of(meant, report)


def _nearness(candidate: Candidate) -> float:
    nearness = nearness_of(candidate)
    return candidate.score if nearness is None else nearness


def _fit_for(report: MatchReport, agent_id: str, skill_id: str) -> float | None:
    found = (one for one in report.candidates if (one.agent_id, one.skill_id) == (agent_id, skill_id))
    candidate = next(found, None)
    return None if candidate is None else fit_of(candidate, report)


def _errand(words: str, goals: Sequence[Goal]) -> Errand:
    """Goals whose words, one after another, are the node's own."""
    for first in range(len(goals)):
        for last in range(len(goals), first, -1):
            served = Errand(goals=tuple(range(first, last)))
            if words_of(served, goals) == words:
                return served
    some = tuple(place for place, goal in enumerate(goals) if goal.text in words)
    served = Errand(goals=some)
    return served if some and words_of(served, goals) == words else Errand(words=words)

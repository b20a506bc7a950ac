"""The task that may try somebody: whom its ticket draws goes to the head of the report. Pure; called by the matcher.

The report with its propensities is the same for every task that asks alike, and remembered; only the draw is not.
"""

import numpy as np

from agents.matching.live.exploring import drawn
from schemas.candidate import MatchReport

HEAD_START = 1e-6
"""Whoever is tried is scored just above the best, so that planning takes it where it can be used at all."""


def drawn_for(report: MatchReport, ticket: float) -> MatchReport:
    """The report of a task with that ticket, uniform in [0, 1): mostly the very same report."""
    if report.abstained or not report.candidates or report.candidates[0].probability >= 1.0:
        # Nobody fits, or who comes first is certain: a rule's wish, or the only one there is.
        return report
    place = drawn(np.array([candidate.probability for candidate in report.candidates]), ticket)
    if place == 0:
        return report
    tried, best = report.candidates[place], report.candidates[0].score
    reason = f"tried to learn more: such a task goes to it with probability {tried.probability:.3f}"
    head = tried.model_copy(update={"score": best + HEAD_START, "reasons": (reason, *tried.reasons)})
    others = tuple(candidate for candidate in report.candidates if candidate is not tried)
    return report.model_copy(update={"candidates": (head, *others)})

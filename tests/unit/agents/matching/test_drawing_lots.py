"""The draw for one task: mostly the report as it is, sometimes somebody else at its head, as often as is recorded."""

from agents.matching.drawing import drawn_for
from schemas.candidate import Candidate, MatchReport


def candidate(agent_id: str, score: float, probability: float) -> Candidate:
    scores = {"learned": score}
    return Candidate(agent_id=agent_id, skill_id="s", score=score, scores=scores, probability=probability)


REPORT = MatchReport(
    candidates=(candidate("a", 0.9, 0.9), candidate("b", 0.5, 0.06), candidate("c", 0.3, 0.04)), policy="learned-1"
)


def test_most_tickets_leave_the_very_same_report():
    assert drawn_for(REPORT, 0.5) is REPORT


def test_a_small_ticket_puts_another_first_with_its_propensity_and_the_reason():
    tried = drawn_for(REPORT, 0.01)
    assert [one.agent_id for one in tried.candidates] == ["b", "a", "c"]
    assert tried.candidates[0].score > tried.candidates[1].score
    assert tried.candidates[0].probability == 0.06
    assert "tried to learn more" in tried.candidates[0].reasons[0]
    assert drawn_for(REPORT, 0.08).candidates[0].agent_id == "c"


def test_nobody_is_tried_where_nobody_fits():
    nobody = REPORT.model_copy(update={"abstained": True})
    assert drawn_for(nobody, 0.01) is nobody
    assert drawn_for(MatchReport(), 0.01) == MatchReport()


def test_whoever_is_first_with_certainty_stays_first():
    preferred = REPORT.model_copy(update={"candidates": (candidate("p", 0.9, 1.0), *REPORT.candidates)})
    assert drawn_for(preferred, 0.01) is preferred

"""What a refused task's sender reads."""

from agents.planning.refusals import nobody
from schemas.candidate import Candidate, MatchReport


def test_how_sure_it_is_that_nobody_can_do_it_cannot_be_read_the_other_way_round():
    near = Candidate(agent_id="ocr", skill_id="read", score=0.1)
    said = nobody(MatchReport(goal="sing", candidates=(near,), abstained=True, threshold=0.25, doubt=0.97))
    assert "The nearest were ocr.read 0.10; the threshold is 0.25. The chance that nobody can do it is 97%." in said

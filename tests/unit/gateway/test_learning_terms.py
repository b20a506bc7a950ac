"""When a policy version is due: soon at first, then by number, by time where little happens, never too often."""

import pytest

from gateway.learning.terms import Terms

TERMS = Terms(every_outcomes=500, every_s=300.0, least_outcomes=50, least_s=10.0)
NEVER_BEFORE = float("inf")


@pytest.mark.parametrize(
    ("events", "new", "since_s", "due"),
    [
        pytest.param(49, 49, NEVER_BEFORE, False, id="too few for the first"),
        pytest.param(50, 50, NEVER_BEFORE, True, id="the first"),
        pytest.param(62, 12, 20.0, False, id="not a quarter more"),
        pytest.param(63, 13, 20.0, True, id="a quarter more"),
        pytest.param(63, 13, 9.0, False, id="a quarter more, but at once"),
        pytest.param(9_500, 499, 200.0, False, id="later by number alone"),
        pytest.param(9_500, 500, 200.0, True, id="enough new ones"),
        pytest.param(9_500, 500, 40.0, False, id="a long past is told less often"),
        pytest.param(9_500, 1, 300.0, True, id="any news after long enough"),
        pytest.param(9_500, 0, NEVER_BEFORE, False, id="no news"),
    ],
)
def test_a_version_is_due(events, new, since_s, due):
    assert TERMS.are_met(events, new, since_s) is due

"""What signs of life mean."""

from datetime import timedelta

import pytest

from gateway.agent_desk import Sign, liveness_of
from schemas.base import now

AT = now()


def ago(seconds):
    return AT - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("heard_s", "registered_s", "liveness"),
    [
        (1, 100, "alive"),
        (15, 100, "alive"),
        (16, 100, "dead"),
        (None, 5, "unknown"),
        (None, 16, "dead"),
        (16, 5, "dead"),
    ],
)
def test_an_agent_lives_as_long_as_it_is_heard(heard_s, registered_s, liveness):
    sign = None if heard_s is None else Sign(ago(heard_s), 0.0)
    assert liveness_of(sign, ago(registered_s), AT) == liveness

"""Time is what was listened to: late reading makes nobody older, and while nothing can be heard nobody dies."""

from datetime import UTC, datetime, timedelta

import pytest

from agents.registry.health import HealthBoard
from agents.registry.hearing import STEP_MAX_S, HearingClock
from schemas.card import Liveness

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEATS, OTHER = ("default", "beats"), ("default", "other")


class Listener:
    """A board whose feed is played by the test. ``clock`` is the process's own."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.hearing = HearingClock(lambda: self.clock)
        self.board = HealthBoard(self.hearing, lambda _tenant: None, ttl_s=15.0)
        for key in (BEATS, OTHER):
            self.board.expect(key)

    def hear(self, *stored_s: float, who: tuple[str, str] = BEATS) -> None:
        for second in stored_s:
            self.hearing.heard(NOON + timedelta(seconds=second))
            self.board.hear(who)

    def idle(self, seconds: float) -> None:
        self.hearing.level()
        self.clock += seconds
        self.hearing.level()


@pytest.fixture
def listener() -> Listener:
    return Listener()


def test_who_is_read_late_by_a_busy_process_is_alive_all_along(listener: Listener):
    listener.hear(0)
    listener.clock += 40  # the loop is busy, and what came meanwhile lies unread
    assert listener.board.liveness(BEATS) is Liveness.ALIVE
    listener.hear(*range(5, 41, 5))
    assert listener.board.liveness(BEATS) is Liveness.ALIVE


def test_who_falls_silent_while_others_are_heard_is_dead(listener: Listener):
    listener.hear(0, who=OTHER)
    listener.hear(*range(1, 16))
    assert listener.board.liveness(OTHER) is Liveness.ALIVE
    listener.hear(16)
    assert listener.board.liveness(OTHER) is Liveness.DEAD
    assert listener.board.liveness(BEATS) is Liveness.ALIVE


def test_who_falls_silent_with_nobody_beside_is_dead(listener: Listener):
    listener.hear(0)
    for _ in range(15):
        listener.idle(1.0)
    assert listener.board.liveness(BEATS) is Liveness.ALIVE
    listener.idle(1.0)
    assert listener.board.liveness(BEATS) is Liveness.DEAD


def test_what_is_idle_time_and_what_is_told_of_it_later_is_not_counted_twice(listener: Listener):
    listener.hear(0)
    listener.idle(2.0)
    listener.hear(2.0, who=OTHER)
    assert listener.hearing() == pytest.approx(2.0)


def test_nobody_dies_of_an_outage_of_the_bus(listener: Listener):
    listener.hear(0)
    listener.hear(0, who=OTHER)
    listener.clock += 60
    listener.hear(60)
    assert listener.board.liveness(OTHER) is Liveness.ALIVE
    assert listener.hearing() == STEP_MAX_S


def test_a_clock_that_is_set_back_takes_nothing_back(listener: Listener):
    listener.hear(10)
    listener.hear(7)
    assert listener.hearing() == 0.0

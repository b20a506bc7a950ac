"""A worker follows the bucket that it writes: what it wrote before must not take the place of what it wrote last."""

from datetime import UTC, datetime, timedelta

from agents.evolving.live.own_writes import WAITED_FOR_MAX, OwnWrites

KIND = ("default", "k-1")
START = datetime(2026, 1, 1, tzinfo=UTC)


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def waiting_for(*minutes: int) -> OwnWrites:
    own = OwnWrites()
    for minute in minutes:
        own.wrote(KIND, at(minute))
    return own


def test_the_echo_of_an_older_write_is_overtaken_by_the_newer_one_whatever_the_clock_said():
    own = waiting_for(5, 3)
    assert own.is_overtaken(KIND, at(5))
    assert not own.is_overtaken(KIND, at(3))
    assert not own.is_overtaken(KIND, at(3)), "told again, after an outage"


def test_what_another_worker_wrote_counts():
    own = waiting_for(5)
    assert not own.is_overtaken(KIND, at(1))
    assert not own.is_overtaken(("default", "k-2"), at(5))


def test_a_write_that_never_comes_is_waited_for_no_longer_than_until_the_next():
    own = waiting_for(1, 2)
    assert not own.is_overtaken(KIND, at(2))
    own.wrote(KIND, at(3))
    assert not own.is_overtaken(KIND, at(3))


def test_a_bus_that_takes_nothing_fills_no_memory():
    own = waiting_for(*range(3 * WAITED_FOR_MAX))
    assert not own.is_overtaken(KIND, at(0))
    own.forget(KIND)
    assert not own.is_overtaken(KIND, at(3 * WAITED_FOR_MAX - 2))

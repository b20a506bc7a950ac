"""What is said again and again is said a few times, and counted."""

import io
import logging
from collections.abc import Iterator

import pytest

from gateway.repeated_lines import NEWS, PERIOD_S, TROUBLES, CountingHandler


class Log:
    def __init__(self) -> None:
        self.now, self.stream = 0.0, io.StringIO()
        self.handler = CountingHandler(self.stream, lambda: self.now)
        self.logger = logging.Logger("worker")
        self.logger.addHandler(self.handler)

    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log()
    yield log
    log.handler.close()


def test_an_outage_is_told_a_few_times_and_then_counted_each_period(log: Log):
    for _ in range(700):
        log.logger.warning("the bus does not answer: %s", "no responders")
        log.now += 0.1
    log.handler.close()
    counts = [int(line.split()[0]) for line in log.lines() if "more lines like this" in line]
    told = [line for line in log.lines() if line == "the bus does not answer: no responders"]
    assert (len(told), len(counts)) == (3 * TROUBLES, 3)
    assert len(told) + sum(counts) == 700


def test_what_differs_in_its_arguments_only_is_the_same(log: Log):
    for agent in range(100):
        log.logger.error("agent %s is away", f"a{agent}")
    assert len(log.lines()) == TROUBLES


def test_other_lines_are_written_meanwhile_and_bring_the_count_with_them(log: Log):
    for _ in range(TROUBLES + 3):
        log.logger.warning("away")
    log.logger.warning("something else")
    assert log.lines()[-1] == "something else"
    log.now += PERIOD_S
    log.logger.info("back")
    assert log.lines()[-2:] == ["3 more lines like this within 30 s: away", "back"]


def test_a_log_that_is_closed_leaves_nothing_uncounted(log: Log):
    for _ in range(TROUBLES + 1):
        log.logger.warning("away")
    log.handler.close()
    assert log.lines()[-1] == "1 more lines like this within 0 s: away"


def test_what_is_no_trouble_may_be_said_more_often(log: Log):
    for tenant in range(NEWS + 10):
        log.logger.info("policy of tenant %s", tenant)
    assert len(log.lines()) == NEWS


def test_what_comes_now_and_then_is_always_told(log: Log):
    for _ in range(20):
        log.logger.warning("now and then")
        log.now += PERIOD_S / 4
    assert log.lines() == ["now and then"] * 20

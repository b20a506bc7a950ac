"""The circuit spares an agent that fails, and finds out when it is well again."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agents.running.breaker import CircuitBreaker, CircuitState, Permit


def breaker_at(time: list[float]) -> CircuitBreaker:
    return CircuitBreaker(lambda: time[0], failures_to_open=3, open_s=2.0, open_limit_s=8.0)


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        permit = breaker.ask()
        assert permit is not None
        breaker.failed(permit)


def test_failures_in_a_row_open_it():
    breaker = breaker_at([0.0])
    fail(breaker, 2)
    assert breaker.ask() is not None
    fail(breaker, 1)
    assert breaker.ask() is None
    assert breaker.retry_after_s() == 2.0


def test_a_success_between_failures_keeps_it_closed():
    breaker = breaker_at([0.0])
    for _ in range(5):
        fail(breaker, 2)
        permit = breaker.ask()
        assert permit is not None
        breaker.succeeded(permit)
    assert breaker.state is CircuitState.CLOSED


def test_after_a_while_one_trial_decides():
    time = [0.0]
    breaker = breaker_at(time)
    fail(breaker, 3)
    time[0] = 2.0
    trial = breaker.ask()
    assert trial is not None
    assert breaker.ask() is None
    breaker.succeeded(trial)
    assert breaker.state is CircuitState.CLOSED
    assert breaker.ask() is not None


def test_each_failed_trial_doubles_the_pause_up_to_its_limit():
    time = [0.0]
    breaker = breaker_at(time)
    fail(breaker, 3)
    pauses = []
    for _ in range(4):
        pauses.append(breaker.retry_after_s())
        time[0] += pauses[-1]
        fail(breaker, 1)
    assert pauses == [2.0, 4.0, 8.0, 8.0]


def test_an_abandoned_trial_leaves_room_for_another():
    time = [0.0]
    breaker = breaker_at(time)
    fail(breaker, 3)
    time[0] = 2.0
    trial = breaker.ask()
    assert trial is not None
    breaker.abandoned(trial)
    assert breaker.ask() is not None


def test_late_news_from_before_it_opened_does_not_count():
    time = [0.0]
    breaker = breaker_at(time)
    old = breaker.ask()
    assert old is not None
    fail(breaker, 3)
    time[0] = 2.0
    trial = breaker.ask()
    assert trial is not None
    breaker.failed(old)
    assert breaker.state is CircuitState.HALF_OPEN
    breaker.succeeded(old)
    assert breaker.state is CircuitState.HALF_OPEN


class AnyOrderOfNews(RuleBasedStateMachine):
    """Whatever happens in whatever order: never two trials at once, never open for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.time = [0.0]
        self.breaker = breaker_at(self.time)
        self.held: list[Permit] = []
        self.trials: list[Permit] = []

    @rule()
    def ask(self):
        permit = self.breaker.ask()
        if permit is not None:
            self.held.append(permit)
            if self.breaker.state is CircuitState.HALF_OPEN:
                self.trials.append(permit)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), news=st.sampled_from(["succeeded", "failed", "abandoned"]))
    def report(self, data, news):
        permit = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        if permit in self.trials:
            self.trials.remove(permit)
        getattr(self.breaker, news)(permit)

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds):
        self.time[0] += seconds

    @invariant()
    def at_most_one_trial_is_out(self):
        assert len(self.trials) <= 1

    @invariant()
    def it_says_when_to_come_back(self):
        assert 0 <= self.breaker.retry_after_s() <= 8.0

    @invariant()
    def open_means_spared(self):
        if self.breaker.state is CircuitState.OPEN and self.breaker.retry_after_s() > 0:
            assert self.breaker.ask() is None


AnyOrderOfNews.TestCase.settings = settings(max_examples=50, stateful_step_count=40, deadline=None)
TestAnyOrderOfNews = AnyOrderOfNews.TestCase

"""Liveness follows the signs of life and the clock, and the version tells of every change."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agents.registry.editions import Editions
from agents.registry.health import HealthBoard
from schemas.card import Liveness

A, B = ("default", "a"), ("acme", "a")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def editions() -> Editions:
    return Editions()


@pytest.fixture
def board(clock: Clock, editions: Editions) -> HealthBoard:
    return HealthBoard(clock, editions.changed, ttl_s=15.0)


def test_a_new_agent_is_unknown_and_then_dead_when_it_never_speaks(board: HealthBoard, clock: Clock):
    board.expect(A)
    assert board.liveness(A) is Liveness.UNKNOWN
    clock.now += 15
    assert board.liveness(A) is Liveness.UNKNOWN
    clock.now += 0.1
    assert board.liveness(A) is Liveness.DEAD


def test_a_sign_of_life_lasts_for_the_ttl(board: HealthBoard, clock: Clock):
    board.expect(A)
    board.hear(A, load=0.5)
    clock.now += 15
    assert board.liveness(A) is Liveness.ALIVE
    clock.now += 0.1
    assert board.liveness(A) is Liveness.DEAD
    board.hear(A)
    assert board.liveness(A) is Liveness.ALIVE
    assert board.load(A) == 0.0


def test_agents_that_nobody_registered_are_not_remembered(board: HealthBoard):
    board.hear(A)
    assert board.liveness(A) is Liveness.DEAD
    assert not board.knows(A)


def test_registering_again_gives_no_new_grace_to_the_dead(board: HealthBoard, clock: Clock):
    board.expect(A)
    clock.now += 20
    board.sweep()
    board.expect(A)
    assert board.liveness(A) is Liveness.DEAD


def test_a_forgotten_agent_starts_anew(board: HealthBoard, clock: Clock):
    board.expect(A)
    board.hear(A, load=0.7)
    board.forget(A)
    assert (board.liveness(A), board.load(A)) == (Liveness.DEAD, 0.0)
    board.expect(A)
    assert board.liveness(A) is Liveness.UNKNOWN


def test_tenants_are_apart(board: HealthBoard):
    board.expect(A)
    board.expect(B)
    board.hear(A)
    assert (board.liveness(A), board.liveness(B)) == (Liveness.ALIVE, Liveness.UNKNOWN)


def test_the_version_moves_with_changes_and_only_with_changes(board: HealthBoard, clock: Clock, editions: Editions):
    board.expect(A)
    board.hear(A)
    known = editions.of("default")
    for _ in range(5):
        clock.now += 5
        board.hear(A)
        board.sweep()
    assert editions.of("default") == known
    clock.now += 15.1
    board.sweep()
    assert editions.of("default") > known
    dead = editions.of("default")
    board.sweep()
    assert editions.of("default") == dead
    board.hear(A)
    assert editions.of("default") > dead


class AgainstTheRule(RuleBasedStateMachine):
    """The board against the rule in one line; after a sweep, any change of liveness has moved the version."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.editions = Editions()
        self.board = HealthBoard(self.clock, self.editions.changed, ttl_s=15.0)
        self.expected: dict[tuple[str, str], float] = {}
        self.heard: dict[tuple[str, str], float] = {}
        self.seen = dict.fromkeys((A, B), (0, Liveness.DEAD))

    @rule(key=st.sampled_from([A, B]))
    def register(self, key: tuple[str, str]) -> None:
        self.board.expect(key)
        self.expected.setdefault(key, self.clock.now)

    @rule(key=st.sampled_from([A, B]))
    def hear(self, key: tuple[str, str]) -> None:
        self.board.hear(key)
        if key in self.expected:
            self.heard[key] = self.clock.now

    @rule(key=st.sampled_from([A, B]))
    def forget(self, key: tuple[str, str]) -> None:
        self.board.forget(key)
        self.expected.pop(key, None)
        self.heard.pop(key, None)

    @rule(seconds=st.sampled_from([1.0, 7.0, 14.0, 16.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def liveness_is_what_the_rule_says(self) -> None:
        for key in (A, B):
            assert self.board.liveness(key) is self.told(key)

    @invariant()
    def the_version_tells_of_every_change(self) -> None:
        self.board.sweep()
        for key, (version, before) in self.seen.items():
            now, edition = self.board.liveness(key), self.editions.of(key[0])
            assert now == before or edition > version
            self.seen[key] = (edition, now)

    def told(self, key: tuple[str, str]) -> Liveness:
        if key in self.heard:
            return Liveness.ALIVE if self.clock.now - self.heard[key] <= 15 else Liveness.DEAD
        if key in self.expected and self.clock.now - self.expected[key] <= 15:
            return Liveness.UNKNOWN
        return Liveness.DEAD


TestAgainstTheRule = AgainstTheRule.TestCase
TestAgainstTheRule.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)

"""Matching as the planner sees it: filters, nearness, order, pins, abstaining, and warm repeats that cost nothing."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agents.matching.matcher import KEPT_REPORTS, LISTED_EXCLUDED, SkillMatcher
from agents.matching.ranking import CosineRanker
from agents.ports.skill_index import IndexFilter, SkillHit, SkillPoint, WordQuery
from agents.registry.skill_index.edge import EdgeSkillIndex
from schemas.candidate import MatchReport
from schemas.card import AgentCard, Liveness, NatsEndpoint, Skill
from schemas.parts import Modality
from schemas.task import RoutingHints
from tensor_layer.ports import Vector

DIMENSION = 8
TEXT = frozenset({Modality.TEXT})


def at_angle(degrees: float) -> Vector:
    vector = np.zeros(DIMENSION, np.float32)
    vector[0], vector[1] = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return vector


class StillFleet:
    """Cards and health that change only when a test says so."""

    def __init__(self) -> None:
        self.changes = 0
        self.all: dict[str, dict[str, AgentCard]] = {}
        self.dead: set[str] = set()

    def cards(self, tenant: str) -> dict[str, AgentCard]:
        return self.all.get(tenant, {})

    def liveness(self, tenant: str, agent_id: str) -> Liveness:
        return Liveness.DEAD if agent_id in self.dead else Liveness.ALIVE

    def load(self, tenant: str, agent_id: str) -> float:
        return 0.0

    def version(self, tenant: str) -> int:
        return self.changes


class CountingIndex:
    def __init__(self, inner: EdgeSkillIndex) -> None:
        self.inner = inner
        self.searches: list[IndexFilter] = []
        self.replace = inner.replace
        self.count = inner.count
        self.close = inner.close

    async def search(
        self, vector: Vector, where: IndexFilter, limit: int, words: WordQuery | None = None
    ) -> list[SkillHit]:
        self.searches.append(where)
        return await self.inner.search(vector, where, limit, words)


class World:
    """A fleet, its index and a matcher over both."""

    def __init__(self, index: CountingIndex) -> None:
        self.fleet = StillFleet()
        self.index = index
        self.matcher = SkillMatcher(index, self.fleet, CosineRanker(), abstain_threshold=0.25)

    async def add(self, agent_id: str, *angles: float, tenant: str = "default", **more: object) -> None:
        skills = tuple(
            Skill(id=f"s{n}", description=f"Point to {angle}.", inputs=(Modality.TEXT,), outputs=(Modality.TEXT,))
            for n, angle in enumerate(angles)
        )
        values = {"version": "1.0.0", "description": "Points somewhere.", "endpoint": NatsEndpoint(), "tenant": tenant}
        card = AgentCard(id=agent_id, skills=skills, **{**values, **more})  # type: ignore[arg-type]
        points = [
            SkillPoint(tenant, agent_id, skill.id, at_angle(angle), frozenset({Modality.TEXT}), frozenset(card.tags))
            for skill, angle in zip(skills, angles, strict=True)
        ]
        await self.index.replace(tenant, agent_id, points)
        self.fleet.all.setdefault(tenant, {})[agent_id] = card
        self.fleet.changes += 1

    def die(self, agent_id: str) -> None:
        self.fleet.dead.add(agent_id)
        self.fleet.changes += 1

    async def match(
        self, degrees: float = 0.0, hints: RoutingHints | None = None, tenant: str = "default", **more: object
    ) -> MatchReport:
        return await self.matcher.match(
            tenant,
            "point there",
            at_angle(degrees),
            TEXT,
            hints or RoutingHints(),
            **more,  # type: ignore[arg-type]
        )


def ids(report: MatchReport) -> list[str]:
    return [candidate.agent_id for candidate in report.candidates]


def propensities(report: MatchReport) -> list[float]:
    return [candidate.probability for candidate in report.candidates]


def reasons(report: MatchReport) -> dict[str, str]:
    return {excluded.agent_id: excluded.reason for excluded in report.excluded}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    index = await EdgeSkillIndex.open(tmp_path, dimension=DIMENSION)
    yield World(CountingIndex(index))
    await index.close()


async def test_the_nearest_agent_comes_first_and_the_report_says_everything(world: World):
    await world.add("near", 5)
    await world.add("far", 60)
    report = await world.match()
    assert ids(report) == ["near", "far"]
    assert propensities(report) == [1.0, 0.0]
    assert not report.abstained
    assert (report.goal, report.threshold, report.policy) == ("point there", 0.25, "cosine-1")
    assert report.candidates[0].reasons == ("closest skill: Point to 5 (1.00)",)


async def test_an_agent_is_judged_by_its_best_skill(world: World):
    await world.add("generalist", 80, 170, 2)
    await world.add("specialist", 10)
    report = await world.match()
    assert [(c.agent_id, c.skill_id) for c in report.candidates] == [("generalist", "s2"), ("specialist", "s0")]


async def test_when_nobody_is_near_enough_it_abstains_and_still_says_who_was_nearest(world: World):
    await world.add("far", 80)
    report = await world.match()
    assert report.abstained
    assert ids(report) == ["far"]
    assert propensities(report) == [0.0]


async def test_the_threshold_itself_is_near_enough(world: World):
    await world.add("edge", float(np.degrees(np.arccos(0.2501))))
    assert not (await world.match()).abstained


async def test_an_empty_fleet_abstains(world: World):
    report = await world.match()
    assert report.abstained
    assert (report.candidates, report.excluded) == ((), ())


async def test_who_may_not_is_no_candidate_however_near_and_the_reason_is_told(world: World):
    await world.add("dead", 0)
    await world.add("unwanted", 0)
    await world.add("needs-image", 0, requires_modalities=(Modality.IMAGE,))
    await world.add("fine", 20)
    world.die("dead")
    report = await world.match(hints=RoutingHints(exclude=("unwanted",)))
    assert ids(report) == ["fine"]
    assert set(reasons(report)) == {"dead", "unwanted", "needs-image"}


async def test_required_tags_come_before_nearness(world: World):
    await world.add("near", 0)
    await world.add("tagged", 40, tags=("gpu",))
    report = await world.match(hints=RoutingHints(required_capabilities=("gpu",)))
    assert ids(report) == ["tagged"]
    assert "gpu" in reasons(report)["near"]


async def test_tenants_neither_match_nor_see_each_other(world: World):
    await world.add("ours", 30)
    await world.add("theirs", 0, tenant="acme")
    report = await world.match()
    assert ids(report) == ["ours"]
    assert report.excluded == ()
    assert ids(await world.match(tenant="acme")) == ["theirs"]
    assert (await world.match(tenant="nobody")).abstained


async def test_skills_of_other_modalities_stay_in_for_the_planner_to_bridge(world: World):
    await world.add("text-only", 0)
    report = await world.matcher.match("default", "read", at_angle(0), frozenset({Modality.IMAGE}), RoutingHints())
    assert ids(report) == ["text-only"]


async def test_one_agents_many_skills_do_not_hide_the_others(world: World):
    await world.add("crowd", *[n / 10 for n in range(120)])
    for number in range(5):
        await world.add(f"other{number}", 40 + number)
    assert ids(await world.match(limit=4)) == ["crowd", "other0", "other1", "other2"]


async def test_the_limit_counts_agents(world: World):
    for number in range(6):
        await world.add(f"a{number}", number)
    assert ids(await world.match(limit=3)) == ["a0", "a1", "a2"]


# Pins.


async def test_pinned_agents_come_first_in_their_order_with_the_reason(world: World):
    await world.add("near", 0)
    await world.add("pin1", 80)
    await world.add("pin2", 89)
    report = await world.match(hints=RoutingHints(pin=("pin2", "pin1", "pin2")))
    assert ids(report) == ["pin2", "pin1", "near"]
    assert propensities(report) == [1.0, 0.0, 0.0]
    assert not report.abstained
    assert report.candidates[0].reasons[0] == "pinned by the task"
    assert report.candidates[0].scores["dense"] == pytest.approx(np.cos(np.radians(89)), abs=1e-4)
    assert ids(report) == [c.agent_id for c in sorted(report.candidates, key=lambda c: -c.score)]


async def test_a_pinned_agent_beyond_the_nearest_is_found(world: World):
    for number in range(60):
        await world.add(f"a{number:02}", number / 10)
    await world.add("pinned", 179)
    report = await world.match(hints=RoutingHints(pin=("pinned",)), limit=2)
    assert ids(report) == ["pinned", "a00"]


@pytest.mark.parametrize("why", ["dead", "excluded", "absent"])
async def test_a_pinned_agent_that_cannot_do_it_makes_it_abstain_rather_than_choose_another(world: World, why: str):
    await world.add("other", 0)
    if why != "absent":
        await world.add("wanted", 0)
    if why == "dead":
        world.die("wanted")
    hints = RoutingHints(pin=("wanted",), exclude=("wanted",) if why == "excluded" else ())
    report = await world.match(hints=hints)
    assert report.abstained
    assert reasons(report)["wanted"].startswith("is pinned by the task, but")
    assert len([excluded for excluded in report.excluded if excluded.agent_id == "wanted"]) == 1
    assert propensities(report) == [0.0] * len(report.candidates)


# Search.


async def test_a_search_shows_the_nearest_however_far(world: World):
    await world.add("far", 100)
    await world.add("picture", 95, requires_modalities=(Modality.IMAGE,))
    report = await world.matcher.search("default", "words", at_angle(0))
    assert ids(report) == ["picture", "far"]
    assert not report.abstained
    assert report.threshold == 0.0


async def test_a_search_looks_among_those_that_its_filter_allows_only(world: World):
    await world.add("near", 0, tags=("cloud",))
    await world.add("offline", 60, tags=("offline", "maths"))
    await world.add("other", 70, tags=("offline",))
    offline = IndexFilter("default", tags=frozenset({"offline"}))

    async def found(where: IndexFilter | None) -> list[str]:
        return ids(await world.matcher.search("default", "words", at_angle(0), where=where))

    assert await found(offline) == ["offline", "other"]
    assert await found(replace(offline, without_tags=frozenset({"maths"}))) == ["other"]
    assert await found(replace(offline, inputs=frozenset({Modality.IMAGE}))) == []
    assert await found(None) == ["near", "offline", "other"]


# Warm repeats.


async def test_the_same_question_is_answered_without_a_search(world: World):
    await world.add("a", 0)
    first = await world.match()
    again = await world.match()
    assert again is first
    assert len(world.index.searches) == 1


async def test_a_cached_report_carries_the_words_of_its_asker(world: World):
    await world.add("a", 0)
    await world.match()
    other = await world.matcher.match("default", "other words", at_angle(0), TEXT, RoutingHints())
    assert other.goal == "other words"
    assert len(world.index.searches) == 1


async def test_every_change_of_the_fleet_is_seen_by_the_next_match(world: World):
    await world.add("a", 0)
    assert ids(await world.match()) == ["a"]
    await world.add("b", 1)
    assert ids(await world.match()) == ["a", "b"]
    world.die("a")
    assert ids(await world.match()) == ["b"]


async def test_what_differs_in_the_question_differs_in_the_answer(world: World):
    await world.add("a", 0)
    await world.add("b", 40)
    assert ids(await world.match(0)) == ["a", "b"]
    assert ids(await world.match(40)) == ["b", "a"]
    assert ids(await world.match(0, limit=1)) == ["a"]
    assert ids(await world.match(0, hints=RoutingHints(exclude=("a",)))) == ["b"]
    assert (await world.match(0, tenant="x")).abstained


async def test_a_warm_match_takes_less_than_a_fifth_of_a_millisecond(world: World):
    for number in range(12):
        await world.add(f"a{number}", number)
    vector = np.concatenate([at_angle(0)])
    await world.matcher.match("default", "g", vector, TEXT, RoutingHints())
    times = []
    for _ in range(200):
        started = time.perf_counter()
        await world.matcher.match("default", "g", vector, TEXT, RoutingHints())
        times.append(time.perf_counter() - started)
    assert sorted(times)[100] < 0.0002


async def test_what_is_remembered_is_bounded(world: World):
    await world.add("a", 0)
    for number in range(KEPT_REPORTS + 50):
        await world.match(number / 10)
    assert len(world.matcher._reports) == KEPT_REPORTS


async def test_in_a_large_fleet_only_the_near_are_looked_at_and_the_dead_do_not_hide_the_living(world: World):
    for number in range(LISTED_EXCLUDED + 100):
        await world.add(f"a{number:03}", number / 10)
    for number in range(150):
        world.die(f"a{number:03}")
    report = await world.match(limit=2)
    assert ids(report) == ["a150", "a151"]
    assert 150 <= len(report.excluded) <= LISTED_EXCLUDED
    assert "dead" in reasons(report)["a000"]

"""Matching under a learned policy: order by what was learned, memory of reports, draws per task, far agents found."""

from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from agents.matching.live.policy import LivePolicy, Outcome
from agents.matching.live.ranker import LearnedOrder
from agents.matching.matcher import SkillMatcher
from agents.matching.ranking import CosineRanker
from agents.ports.matching import Lot
from agents.registry.skill_index.edge import EdgeSkillIndex
from schemas.task import RoutingHints
from tests.unit.agents.matching.test_matcher import DIMENSION, TEXT, CountingIndex, World, at_angle


class StillPolicies:
    """One policy that a test teaches; a test says what is drawn."""

    def __init__(self) -> None:
        self.order = LearnedOrder("learned-1", LivePolicy.blank(DIMENSION))
        self.edition = 0

    def lot(self, tenant: str, task_id: str | None) -> Lot:
        return Lot("learned-1", self.edition, bound=0.5)

    def ranker(self, tenant: str, lot: Lot) -> LearnedOrder:
        return self.order

    def teach(self, agent: str, degrees: float, success: float, times: int = 5) -> None:
        for number in range(times):
            self.order.live.learn(Outcome(f"{agent}-{number}", agent, at_angle(degrees), success, 0.9))
        self.edition += 1


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    index = await EdgeSkillIndex.open(tmp_path / "index", dimension=DIMENSION)
    world = World(CountingIndex(index))
    world.policies = StillPolicies()
    world.matcher = SkillMatcher(world.index, world.fleet, CosineRanker(), 0.25, world.policies)
    yield world
    await index.close()


async def match(world: World, degrees: float = 0.0, lot: Lot | None = None, hints: RoutingHints | None = None):
    hints = hints or RoutingHints()
    return await world.matcher.match("default", "do it", at_angle(degrees), TEXT, hints, lot=lot)


def ids(report) -> list[str]:
    return [candidate.agent_id for candidate in report.candidates]


async def test_before_anything_is_learned_the_nearer_card_is_first(world):
    await world.add("near", 5)
    await world.add("far", 40)
    report = await match(world)
    assert (ids(report), report.policy) == (["near", "far"], "learned-1")
    assert sum(candidate.probability for candidate in report.candidates) == pytest.approx(1.0)


async def test_what_succeeded_at_such_tasks_is_put_first_and_what_failed_last(world):
    await world.add("near", 5)
    await world.add("far", 40)
    world.policies.teach("near", 0, 0.0)
    world.policies.teach("far", 0, 1.0)
    assert ids(await match(world)) == ["far", "near"]


async def test_an_agent_that_did_well_is_found_however_far_its_card_is(world):
    for number in range(40):
        await world.add(f"near{number:02d}", 60 + number / 10)
    await world.add("elsewhere", 89)
    assert "elsewhere" not in ids(await match(world))
    world.policies.teach("elsewhere", 0, 1.0, times=10)
    assert "elsewhere" in ids(await match(world))


async def test_a_repeat_is_remembered_until_something_is_learned(world):
    await world.add("near", 5)
    await match(world)
    searches = len(world.index.searches)
    await match(world)
    assert len(world.index.searches) == searches
    world.policies.teach("near", 0, 1.0)
    await match(world)
    assert len(world.index.searches) > searches


async def test_a_ticket_tries_another_agent_from_the_remembered_report(world):
    await world.add("near", 5)
    await world.add("far", 40)
    usual = await match(world)
    searches = len(world.index.searches)
    tried = await match(world, lot=Lot("learned-1", world.policies.edition, 0.5, ticket=0.0))
    assert ids(tried) == ["far", "near"]
    assert tried.candidates[0].probability == usual.candidates[1].probability > 0
    assert len(world.index.searches) == searches


async def test_pinned_agents_are_never_replaced_by_a_trial(world):
    await world.add("near", 5)
    await world.add("far", 40)
    lot = Lot("learned-1", world.policies.edition, 0.5, ticket=0.0)
    assert ids(await match(world, lot=lot, hints=RoutingHints(pin=("near",))))[0] == "near"


@pytest.mark.parametrize("preferred", ["near", "far"])
async def test_preferred_agents_are_never_replaced_by_a_trial_whether_they_are_the_best_or_not(world, preferred):
    await world.add("near", 5)
    await world.add("far", 40)
    lot = Lot("learned-1", world.policies.edition, 0.5, ticket=0.0)
    report = await match(world, lot=lot, hints=RoutingHints(prefer=(preferred,)))
    assert ids(report)[0] == preferred
    assert [candidate.probability for candidate in report.candidates] == [1.0, 0.0]


async def test_nobody_near_and_nobody_proven_is_nobody(world):
    await world.add("other", 89)
    report = await match(world)
    assert report.abstained
    assert report.doubt is not None


async def test_without_agents_it_abstains_in_doubt(world):
    report = await match(world)
    assert (report.abstained, report.candidates, report.doubt, report.threshold) == (True, (), 1.0, 0.25)
    assert world.matcher.explained("default", report, at_angle(0)) == report


async def test_success_at_other_tasks_is_no_reason_to_try_what_nobody_claims(world):
    await world.add("busy", 89)
    world.policies.teach("busy", 70, 1.0, times=60)
    report = await match(world)
    assert report.abstained
    assert (report.threshold, report.candidates[0].score) == (0.25, pytest.approx(np.cos(np.radians(89)), abs=1e-5))
    assert report.doubt > 0.9
    assert not (await match(world, 60)).abstained


async def test_who_succeeded_at_tasks_like_it_is_chosen_however_far_the_card(world):
    await world.add("far", 89)
    assert (await match(world)).abstained
    world.policies.teach("far", 20, 1.0, times=20)
    assert not (await match(world)).abstained


async def test_failures_alone_never_make_a_task_refused(world):
    await world.add("near", 5)
    world.policies.teach("near", 0, 0.0, times=30)
    report = await match(world)
    assert not report.abstained
    assert report.candidates[0].score >= report.threshold


async def test_explaining_tells_features_contributions_and_the_tasks_that_counted(world):
    await world.add("near", 5)
    world.policies.teach("near", 0, 1.0, times=2)
    [told] = world.matcher.explained("default", await match(world), at_angle(0)).candidates
    assert {one.task_id for one in told.counted} == {"near-0", "near-1"}
    assert all(one.outcome == 1.0 and one.weight > 0 for one in told.counted)
    odds = sum(told.contributions.values())
    assert told.features.keys() == told.contributions.keys()
    assert 1 / (1 + np.exp(-odds)) == pytest.approx(told.score, abs=0.05)


async def test_while_nothing_is_in_force_a_report_is_explained_as_it_is(world):
    await world.add("near", 5)
    report = await match(world)
    world.policies.lot = lambda _tenant, _task_id: None
    assert world.matcher.explained("default", report, at_angle(0)) is report


async def test_who_stands_in_third_is_tried_only_where_exploring_is_allowed(world):
    for name, degrees, success in (("best", 5, 1.0), ("second", 6, 0.9), ("middling", 7, 0.6)):
        await world.add(name, degrees)
        world.policies.teach(name, 0, success, times=30)
    await world.add("newcomer", 70)
    bold = await match(world, lot=Lot("learned-1", world.policies.edition, bound=0.5))
    shy = await match(world, lot=Lot("learned-1", world.policies.edition, bound=0.0))
    scores = [candidate.score for candidate in shy.candidates]
    assert scores == sorted(scores, reverse=True)
    assert ids(shy)[:3] == ["best", "second", "middling"]
    assert ids(bold)[:3] == ["best", "second", "newcomer"]

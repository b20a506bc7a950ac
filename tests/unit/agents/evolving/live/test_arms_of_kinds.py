"""Tasks of an experiment are planned by their own arm's policy, evolved networks included, and their records say so."""

import pytest
from kind_office import DEAR, Matcher, Office, agents_of, card

from agents.evolving.objectives import Preference
from agents.ports.matching import Lot
from schemas.candidate import MatchReport
from schemas.task import TaskSubmitted

WORDS = "Summarise a text briefly"
COSTLY, CHEAP = card("costly", WORDS, cost=DEAR), card("summary", WORDS)
ARMS = {"t-control": "learned-1", "t-treatment": "learned-2"}


def policy_of(task: TaskSubmitted) -> str:
    return ARMS[task.task_id]


class TwoPolicies(Matcher):
    """The one puts the first of two equals first, the other one the last."""

    turned = "learned-2"

    def lot(self, task: TaskSubmitted) -> Lot:
        return Lot(policy_of(task), edition=1)

    async def match(self, *asked, lot: Lot, **more) -> MatchReport:
        report = await super().match(*asked, **more)
        few = report.candidates[::-1] if lot.policy == self.turned else report.candidates
        return report.model_copy(update={"candidates": few, "policy": lot.policy})


class Agreeing(TwoPolicies):
    """Both put the same agent first."""

    turned = "nobody"


@pytest.fixture
def office() -> Office:
    return Office(COSTLY, CHEAP, preference=Preference.COST, policy_of=policy_of, matcher=TwoPolicies)


async def test_each_arm_has_its_own_kind_and_the_network_that_its_policy_wove(office):
    control, treatment = [await office.plan(WORDS, task_id=task_id) for task_id in ARMS]
    assert (agents_of(control), agents_of(treatment)) == (["costly"], ["summary"])
    assert control.plan.kind != treatment.plan.kind
    again = [await office.plan(WORDS, task_id=task_id) for task_id in ARMS]
    assert [agents_of(planned) for planned in again] == [["costly"], ["summary"]]
    assert [planned.policy for planned in again] == list(ARMS.values())


@pytest.mark.parametrize("matcher", [TwoPolicies, Agreeing], ids=["they differ", "they agree"])
async def test_a_task_counts_for_its_arm_when_its_network_evolved_too(matcher):
    office = Office(COSTLY, CHEAP, preference=Preference.COST, policy_of=policy_of, matcher=matcher)
    await office.plan(WORDS, task_id="t-control")
    await office.plan(WORDS, task_id="t-control")
    await office.background.drain()
    evolved = await office.plan(WORDS, task_id="t-control")
    assert (evolved.plan.planner, evolved.policy) == ("genetic-1", "learned-1")
    other = await office.plan(WORDS, task_id="t-treatment")
    again = await office.plan(WORDS, task_id="t-treatment")
    assert other.policy == again.policy == "learned-2"
    assert other.plan.kind != evolved.plan.kind


async def test_a_network_whose_policy_changed_while_it_was_woven_founds_no_kind(office, monkeypatch):
    weave = office.greedy.weave

    async def overtaken(*asked):
        woven = await weave(*asked)
        monkeypatch.setitem(ARMS, "t-control", "learned-3")
        return woven

    monkeypatch.setattr(office.greedy, "weave", overtaken)
    planned = await office.plan(WORDS, task_id="t-control")
    assert (planned.policy, planned.plan.kind) == ("learned-1", None)

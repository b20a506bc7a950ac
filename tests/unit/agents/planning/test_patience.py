"""A task that overtakes the registration of its agent is planned again, and only then."""

import pytest

from agents.errors import BusUnavailable, NoAgentFits, NoNetworkGoodEnough
from agents.planning.patience import PatientPlanner
from schemas.parts import text_part
from schemas.percept import Percept
from schemas.task import TaskSubmitted
from tensor_layer.ports import Perceived

TASK = TaskSubmitted(parts=(text_part("hello"),))
PERCEIVED = Perceived(Percept(parts=(), modalities=()), None, TASK.parts)
PLANNED = object()


class Fleet:
    def __init__(self, news: int = 0, error: Exception | None = None) -> None:
        self.changes, self.caught_up = 7, 0
        self._news, self._error = news, error

    def version(self, tenant: str) -> int:
        return self.changes

    async def catch_up(self) -> None:
        self.caught_up += 1
        self.changes += self._news
        if self._error:
            raise self._error


class Planner:
    def __init__(self, *outcomes: object) -> None:
        self.outcomes = list(outcomes)

    async def plan(self, task, perceived):
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def test_a_task_that_somebody_fits_waits_for_nobody():
    fleet = Fleet()
    assert await PatientPlanner(Planner(PLANNED), fleet).plan(TASK, PERCEIVED) is PLANNED
    assert fleet.caught_up == 0


async def test_an_agent_registered_just_now_gets_the_task():
    planner = PatientPlanner(Planner(NoAgentFits("nobody"), PLANNED), Fleet(news=1))
    assert await planner.plan(TASK, PERCEIVED) is PLANNED


@pytest.mark.parametrize("error", [None, BusUnavailable("away")])
async def test_without_news_the_refusal_stands(error):
    planner = PatientPlanner(Planner(NoAgentFits("nobody")), Fleet(error=error))
    with pytest.raises(NoAgentFits, match="nobody"):
        await planner.plan(TASK, PERCEIVED)


async def test_it_is_planned_anew_once_only():
    planner = PatientPlanner(Planner(NoAgentFits("nobody"), NoAgentFits("still nobody")), Fleet(news=1))
    with pytest.raises(NoAgentFits, match="still"):
        await planner.plan(TASK, PERCEIVED)


async def test_who_is_there_and_not_good_enough_is_not_waited_for():
    fleet = Fleet(news=1)
    with pytest.raises(NoNetworkGoodEnough):
        await PatientPlanner(Planner(NoNetworkGoodEnough("weak")), fleet).plan(TASK, PERCEIVED)
    assert fleet.caught_up == 0

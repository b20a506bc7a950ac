"""Plans of kinds of task on a real bus: another process betters them, all workers share them, a restart keeps them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue

from agents.errors import NoNetworkGoodEnough
from agents.evolving.live.book import PlanBook
from agents.evolving.live.service import RefinementService
from agents.evolving.live.wiring import LivePlanning, PlanningOptions
from agents.outcome_feed import OutcomeFeed
from agents.ports.planning import Planned
from agents.registry.kv_feed import snapshot
from schemas import subjects
from schemas.card import AgentCard
from schemas.parts import Modality, text_part
from schemas.percept import Percept
from schemas.policy_state import PolicyState
from schemas.refinement import PlanningPast, PlanTemplate, RefineReply, RefineRequest
from schemas.task import TaskSubmitted
from tensor_layer.ports import Perceived
from tests.unit.agents.evolving.live.kind_office import DEAR, Fleet, Matcher, Office, card, encode, outcome, vector_of

WORDS = "Summarise a text briefly"
COSTLY, CHEAP = card("a-costly", WORDS, cost=DEAR), card("b-cheap", WORDS)
PATIENCE_S = 30.0


class PlanningWorker:
    """The planning half of a worker, on the bus."""

    def __init__(
        self, nc: Client, js: JetStreamContext, *cards: AgentCard, preference: str = "cost", state: PolicyState | None
    ) -> None:
        self.fleet = Fleet(*cards)
        self.matcher = Matcher(self.fleet)
        options = PlanningOptions(preference=preference, fresh_share=0.0)
        self.live = LivePlanning(nc, js, self.matcher, self.fleet, encode, options, lambda _tenant: state)

        self.asked: set[str] = set()

    async def plan(self, words: str = WORDS) -> Planned:
        parts = (text_part(words),)
        perceived = Perceived(Percept(parts=(), modalities=(Modality.TEXT,)), vector_of(words), parts)
        task = TaskSubmitted(parts=parts)
        self.asked.add(task.task_id)
        return await self.live.planner.plan(task, perceived)

    async def until(self, fits: Callable[[Planned], bool], words: str = WORDS) -> Planned:
        async with asyncio.timeout(PATIENCE_S):
            while not fits(planned := await self.plan(words)):
                await asyncio.sleep(0.02)
        return planned


@pytest.fixture
async def refiner(nc: Client) -> AsyncIterator[RefinementService]:
    service = RefinementService(nc)
    await service.start()
    yield service
    await service.stop()


@asynccontextmanager
async def worker(
    nc: Client, js: JetStreamContext, *cards: AgentCard, preference: str = "cost", state: PolicyState | None = None
) -> AsyncIterator[PlanningWorker]:
    made = PlanningWorker(nc, js, *(cards or (COSTLY, CHEAP)), preference=preference, state=state)
    outcomes = OutcomeFeed(nc, (made.live.learn,), hand_on_every_s=0.05)
    await made.live.start()
    await outcomes.start()
    try:
        yield made
    finally:
        await outcomes.stop()
        await made.live.stop()


async def value_of(bucket: KeyValue, key: str) -> bytes:
    """The key's value as soon as there is one."""
    while True:
        try:
            return (await bucket.get(key)).value or b""
        except KeyNotFoundError:
            await asyncio.sleep(0.02)


async def every_value(js: JetStreamContext) -> AsyncIterator[bytes]:
    """All that the bucket of plans holds now, as it lies on the disk."""
    for entry in await snapshot(js, subjects.BUCKET_PLANS, history=True):
        yield entry.value


def is_refined(planned: Planned) -> bool:
    return planned.plan.planner == "genetic-1"


async def test_a_kind_is_planned_greedily_first_and_with_the_refined_network_later(nc, js, refiner):
    async with worker(nc, js) as one:
        first = await one.plan()
        assert (first.plan.planner, first.plan.network.nodes[0].agent_id) == ("greedy-1", "a-costly")
        later = await one.until(is_refined)
        assert later.plan.network.nodes[0].agent_id == "b-cheap"
        assert (later.plan.kind, later.plan.refined) == (first.plan.kind, 1)
        assert refiner.served >= 1


async def test_a_tenant_that_puts_cost_first_gets_networks_that_do(nc, js, refiner):
    state = PolicyState(tenant="default", preference="cost")
    async with worker(nc, js, preference="quality", state=state) as one:
        assert (await one.until(is_refined)).plan.network.nodes[0].agent_id == "b-cheap"


async def test_a_tenant_says_how_sure_a_plan_must_be(nc, js):
    async with worker(nc, js, state=PolicyState(tenant="default", quality_threshold=0.999)) as one:
        with pytest.raises(NoNetworkGoodEnough):
            await one.plan()


async def test_other_workers_and_those_that_start_later_use_what_evolved(nc, js, refiner):
    async with worker(nc, js) as one, worker(nc, js) as two:
        refined = await one.until(is_refined)
        assert (await two.until(is_refined)).plan.network == refined.plan.network
    async with worker(nc, js) as late:
        assert is_refined(await late.plan()), "its first plan is what evolved before it started"


async def test_without_a_refiner_the_greedy_network_goes_on_working(nc, js):
    async with worker(nc, js) as one:
        assert [(await one.plan()).plan.planner for _ in range(5)] == ["greedy-1"] * 5


async def test_a_shared_plan_does_not_outlive_its_agent(nc, js, refiner):
    async with worker(nc, js) as one:
        await one.until(is_refined)
    async with worker(nc, js, COSTLY) as poorer:
        planned = await poorer.plan()
        assert planned.plan.network.nodes[0].agent_id == "a-costly"
        assert poorer.matcher.calls > 0


async def test_the_bucket_recognises_a_founding_task_without_its_words_and_knows_who_it_was(nc, js, refiner):
    words = "Summarise a text briefly for Ann Marlow"
    bucket = await js.key_value(subjects.BUCKET_PLANS)
    async with worker(nc, js) as one:
        planned = await one.until(is_refined, words)
        assert planned.plan.network.nodes[0].goal == words
        value = await value_of(bucket, f"default.{planned.plan.kind}")
        assert PlanTemplate.model_validate_json(value).founder in one.asked
        history = [message async for message in every_value(js)]
        assert len(history) >= 1
        assert b"Marlow" not in b"".join(history)
    async with worker(nc, js) as later:
        assert (await later.until(is_refined, words)).plan.kind == planned.plan.kind


async def test_a_template_of_another_release_is_left_out(nc, js):
    await js.publish(f"$KV.{subjects.BUCKET_PLANS}.default.k-odd", b'{"kind": "k-odd", "from": "the future"}')
    async with worker(nc, js) as one:
        assert (await one.plan()).plan.network.nodes[0].agent_id == "a-costly"


async def test_a_request_that_does_not_read_as_one_is_answered_with_the_reason(nc, refiner):
    answer = await nc.request(subjects.REFINE, b'{"tenant": "t"}', timeout=PATIENCE_S)
    assert "does not read as one" in RefineReply.model_validate_json(answer.data).problem


async def test_a_request_of_a_newer_worker_is_searched(nc, refiner):
    asked = list[RefineRequest]()

    async def ask(request: RefineRequest) -> RefineReply | None:
        asked.append(request)
        return None

    office = Office(COSTLY, CHEAP)
    office.background._ask = ask
    await office.plan(WORDS)
    await office.refine()
    newer = json.dumps(asked[0].model_dump(mode="json") | {"patience": "said by a newer release"}).encode()
    answer = await nc.request(subjects.REFINE, newer, timeout=PATIENCE_S)
    assert RefineReply.model_validate_json(answer.data).evaluations > 0


async def test_what_tasks_came_to_is_heard_and_written_down_for_workers_that_start(nc, js):
    bucket = await js.key_value(subjects.BUCKET_PLANS)
    async with worker(nc, js) as one:
        feed = one.live._services[1]
        feed._write_every_s = 0.05
        await one.live.stop()
        await one.live.start()
        planned = await one.plan()
        record = outcome(planned.plan.network, ms=750.0, estimate=planned.plan.estimate)
        await js.publish(subjects.experience("default"), record.model_dump_json().encode())
        async with asyncio.timeout(PATIENCE_S):
            stored = PlanningPast.model_validate_json(await value_of(bucket, "default.past"))
    assert stored.skills["a-costly.work"].latencies_ms == (750.0,)
    assert len(stored.forecasts) == 1
    async with worker(nc, js) as late:
        assert (await late.plan()).plan.estimated_ms == pytest.approx(750.0)


async def test_kinds_lie_in_the_bucket_as_the_message_map_says(nc, js):
    bucket = await js.key_value(subjects.BUCKET_PLANS)
    async with worker(nc, js) as one:
        kind = (await one.plan()).plan.kind
        async with asyncio.timeout(PATIENCE_S):
            value = await value_of(bucket, f"default.{kind}")
    template = PlanTemplate.model_validate_json(value)
    assert (template.kind, template.errands["a-costly"].goals) == (kind, (0,))


async def test_the_last_plan_on_the_bus_counts_whatever_a_workers_clock_says(nc, js):
    async with worker(nc, js) as one:
        await one.plan()
        first = next(iter(one.live.planner._book._templates["default"].values()))
    hasty = first.model_copy(update={"at": first.at + timedelta(hours=1), "worth": 1.0})
    later = first.model_copy(update={"at": first.at + timedelta(minutes=1), "worth": 2.0})
    ahead, right = PlanBook(js), PlanBook(js)
    await ahead.start()
    await right.start()
    try:
        for book, kept in ((ahead, hasty), (right, later)):
            await book.keep(kept)
            async with asyncio.timeout(PATIENCE_S):
                while any(each.template("default", first.kind) != kept for each in (ahead, right)):
                    await asyncio.sleep(0.02)
    finally:
        await ahead.stop()
        await right.stop()

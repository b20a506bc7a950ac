"""What keeps a plan within the task's budget and the tenant's wishes, and who stands in when an agent fails."""

from collections.abc import Sequence

import pytest
from planning_fleet import (
    EVERYONE,
    KEYWORDS,
    OCR,
    PDF,
    SENTIMENT,
    SUMMARY,
    StandingFleet,
    WordMatcher,
    card,
    encode,
    seen,
    vector_of,
)

from agents.errors import BudgetExceeded, NoNetworkFits, NoNetworkGoodEnough
from agents.planning.pasts import Pasts
from agents.planning.patience import PatientPlanner
from agents.planning.planner import GreedyPlanner
from agents.ports.planning import Planned
from schemas.card import AgentCard, Cost
from schemas.parts import Modality, Part, data_part, text_part
from schemas.percept import Percept
from schemas.task import RoutingHints, TaskSubmitted
from tensor_layer.ports import Perceived, Vector

DEAR = card("dear", "extract", "Summarise a text well", "text", "text", "text", cost=Cost(per_call=5.0))


async def plan(
    words: str,
    *cards: AgentCard,
    pasts: Pasts | None = None,
    least: float = 0.0,
    attached: tuple[Part, ...] = (),
    **task: object,
) -> Planned:
    fleet = StandingFleet(*cards)
    planner = GreedyPlanner(WordMatcher(fleet), fleet, encode, pasts=pasts, quality_threshold=lambda _tenant: least)
    parts = (text_part(words), *attached)
    kinds = tuple(part.modality or Modality.FILE for part in parts)
    perceived = Perceived(Percept(parts=(), modalities=kinds), vector_of(words), parts)
    return await planner.plan(TaskSubmitted(parts=perceived.parts, **task), perceived)


async def test_a_cheaper_network_is_woven_when_the_best_costs_more_than_the_task_may() -> None:
    words = "Summarise a text well"
    assert (await plan(words, DEAR, SUMMARY)).plan.network.nodes[0].agent_id == "dear"
    cheaper = await plan(words, DEAR, SUMMARY, max_cost=1.0)
    assert cheaper.plan.network.nodes[0].agent_id == "summary"
    assert cheaper.plan.estimated_cost <= 1.0


async def test_a_plan_said_before_is_not_handed_to_a_task_that_may_pay_less_or_after_experience() -> None:
    fleet, pasts = StandingFleet(DEAR, SUMMARY), Pasts()
    planner = GreedyPlanner(WordMatcher(fleet), fleet, encode, pasts=pasts)
    words = text_part("Summarise a text well")
    perceived = Perceived(Percept(parts=(), modalities=(Modality.TEXT,)), vector_of("Summarise a text well"), (words,))
    first = await planner.plan(TaskSubmitted(parts=(words,)), perceived)
    cheaper = await planner.plan(TaskSubmitted(parts=(words,), max_cost=1.0), perceived)
    assert [one.plan.network.nodes[0].agent_id for one in (first, cheaper)] == ["dear", "summary"]
    pasts.learn(seen([("dear", "extract", 10.0, False)]))
    later = await planner.plan(TaskSubmitted(parts=(words,)), perceived)
    assert later.plan.estimate.quality.middle < first.plan.estimate.quality.middle


async def test_the_agent_that_is_measured_dearest_makes_room_not_the_one_whose_card_says_most() -> None:
    pasts = Pasts()
    for _ in range(5):
        pasts.learn(seen([("free", "extract", 10.0, True)], cost=5.0))
    free = card("free", "extract", "Summarise a text well", "text", "text", "text")
    picture = data_part(b"\x89PNG", Modality.IMAGE, "image/png", "scan.png")
    planned = await plan("Summarise a text well", OCR, free, SUMMARY, pasts=pasts, attached=(picture,), max_cost=1.0)
    assert {node.agent_id for node in planned.plan.network.nodes} == {"ocr", "summary"}


async def test_an_agent_that_leaves_while_a_task_is_planned_is_planned_without() -> None:
    fleet = StandingFleet(*EVERYONE)
    fleet.catch_up = nothing_new

    async def while_it_leaves(texts: Sequence[str]) -> Vector:
        if len(texts) > 2:  # not the goals: the skills, to see which are near to conversions
            fleet.by_id = {key: one for key, one in fleet.by_id.items() if key != "summary"}
        return await encode(texts)

    words = "Summarise a text and judge the sentiment of a text"
    perceived = Perceived(Percept(parts=(), modalities=(Modality.TEXT,)), vector_of(words), (text_part(words),))
    task, planner = TaskSubmitted(parts=perceived.parts), GreedyPlanner(WordMatcher(fleet), fleet, while_it_leaves)
    with pytest.raises(NoNetworkFits, match="summary left the fleet while"):
        await planner.plan(task, perceived)
    fleet.by_id = {one.id: one for one in EVERYONE}
    planner = GreedyPlanner(WordMatcher(fleet), fleet, while_it_leaves)
    planned = await PatientPlanner(planner, fleet).plan(task, perceived)
    assert "summary" not in [node.agent_id for node in planned.plan.network.nodes]


async def nothing_new() -> None:
    """What was registered until now is known."""


async def test_a_budget_that_nothing_meets_is_refused_with_what_was_tried() -> None:
    with pytest.raises(BudgetExceeded, match=r"max_cost 1.*Tried: dear at about 5"):
        await plan("Summarise a text well", DEAR, max_cost=1.0)


async def test_a_pinned_agent_is_not_replaced_by_a_cheaper_one() -> None:
    with pytest.raises(BudgetExceeded, match="dear"):
        await plan("Summarise a text", DEAR, SUMMARY, max_cost=1.0, routing=RoutingHints(pin=("dear",)))


async def test_other_candidates_that_fit_the_edges_stand_in() -> None:
    planned = await plan("Summarise a text of some length", DEAR, *EVERYONE)
    assert planned.plan.network.nodes[0].agent_id == "summary"
    assert "dear" in [one.agent_id for one in planned.plan.substitutes["summary"]]
    assert PDF.id not in [one.agent_id for one in planned.plan.substitutes["summary"]], "it reads no text alone"


async def test_an_agent_of_another_trade_stands_in_for_nobody() -> None:
    planned = await plan("Judge the sentiment of a text", SENTIMENT, KEYWORDS, SUMMARY)
    candidates = {one.agent_id: one.score for one in planned.matches[0].candidates}
    assert candidates["sentiment"] - candidates["keywords"] > 0.15, "it is near enough to be one, and far beside"
    assert not planned.plan.substitutes, "a failure is told sooner than keywords are answered instead"


async def test_nobody_stands_in_for_a_pinned_agent_or_needs_approval_to() -> None:
    careful = DEAR.model_copy(update={"requires_approval": True})
    assert not (await plan("Summarise a text", DEAR, SUMMARY, routing=RoutingHints(pin=("summary",)))).plan.substitutes
    assert not (await plan("Summarise a text", careful, SUMMARY)).plan.substitutes


async def test_too_poor_a_promise_is_refused_with_what_was_tried() -> None:
    pasts = Pasts()
    for _ in range(20):
        pasts.learn(seen([("summary", "extract", 10.0, False)]))
    with pytest.raises(NoNetworkGoodEnough, match=r"summary\.extract.*past steps.*asks for 0\.40") as refused:
        await plan("Summarise a text", SUMMARY, pasts=pasts, least=0.4)
    assert isinstance(refused.value, NoNetworkFits)
    assert refused.value.code == "no_network_good_enough"


async def test_without_experience_the_prior_decides_and_is_said_to() -> None:
    assert (await plan("Summarise a text", SUMMARY, least=0.4)).plan.estimate.steps_seen == 0
    with pytest.raises(NoNetworkGoodEnough, match="no experience yet, only the prior"):
        await plan("Summarise a text", SUMMARY, least=0.99)

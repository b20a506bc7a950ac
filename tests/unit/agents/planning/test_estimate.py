"""A plan says what it will take, and who has to say yes."""

import pytest
from planning_fleet import ANALYSIS, OCR, REPORT, SUMMARY, seen

from agents.planning.estimate import plan_of
from agents.planning.past import UNMEASURED_MS, StepPast
from agents.planning.promise import Calibration, promise_of
from schemas.card import AgentCard, Cost, Timeouts
from schemas.network import Edge, Network, Node
from schemas.parts import Modality

EDGES = [("task", "ocr"), ("ocr", "summary"), ("task", "analysis"), ("summary", "report"), ("analysis", "report")]
NETWORK = Network(
    nodes=tuple(
        Node(id=name, agent_id=name, skill_id=skill)
        for name, skill in {"ocr": "read", "summary": "extract", "analysis": "ask", "report": "write"}.items()
    ),
    edges=tuple(Edge(source=source, target=target, modalities=(Modality.TEXT,)) for source, target in EDGES),
)


def cards(**changes: dict[str, object]) -> dict[str, AgentCard]:
    return {each.id: each.model_copy(update=changes.get(each.id, {})) for each in (OCR, SUMMARY, ANALYSIS, REPORT)}


def test_the_critical_path_is_the_longest_chain() -> None:
    plan = plan_of(NETWORK, cards())
    assert plan.order == (("analysis", "ocr"), ("summary",), ("report",))
    assert plan.critical_path == ("ocr", "summary", "report")
    assert plan.estimated_ms == pytest.approx(3 * UNMEASURED_MS)


def past_of(steps_ms: dict[str, float]) -> StepPast:
    past, skills = StepPast(), {node.agent_id: node.skill_id for node in NETWORK.nodes}
    for _ in range(5):
        past.learn(seen([(agent, skills[agent], ms, True) for agent, ms in steps_ms.items()]))
    return past


def test_measured_latencies_move_the_critical_path() -> None:
    measured = {"ocr": 100.0, "summary": 50.0, "analysis": 900.0, "report": 10.0}
    plan = plan_of(NETWORK, cards(), past=past_of(measured))
    assert plan.critical_path == ("analysis", "report")
    assert plan.estimated_ms == pytest.approx(910.0)


def test_no_step_is_expected_to_take_longer_than_it_may() -> None:
    hasty = cards(ocr={"timeouts": Timeouts(step_s=0.05)})
    assert plan_of(NETWORK, hasty).estimated_ms == pytest.approx(50.0 + 2 * UNMEASURED_MS)


def test_cost_counts_every_node_by_call_and_by_second() -> None:
    paid = cards(summary={"cost": Cost(per_call=1.0, per_second=2.0)})
    plan = plan_of(NETWORK, paid)
    assert plan.estimated_cost == pytest.approx(0.01 + 1.0 + 2.0 * UNMEASURED_MS / 1000.0)


def test_what_steps_were_charged_counts_more_than_the_card_once_it_was_seen() -> None:
    past = StepPast()
    for _ in range(4):
        past.learn(seen([("ocr", "read", 10.0, True)], cost=0.5))
    assert plan_of(NETWORK, cards(), past=past).estimated_cost == pytest.approx(0.5)


def test_estimates_are_intervals_that_narrow_with_experience() -> None:
    def width(past: StepPast) -> float:
        plan = plan_of(NETWORK, cards(), past=past, promise=promise_of(NETWORK, {}, past, Calibration()))
        assert plan.estimate is not None
        return plan.estimate.duration_ms.high / plan.estimate.duration_ms.low

    steady = dict.fromkeys(("ocr", "summary", "analysis", "report"), 200.0)
    assert width(past_of(steady)) < width(StepPast()) / 2


def test_approvals_come_in_the_order_in_which_they_are_needed() -> None:
    careful = cards(report={"requires_approval": True}, ocr={"requires_approval": True})
    assert plan_of(NETWORK, cards()).approvals == ()
    assert plan_of(NETWORK, careful).approvals == ("ocr", "report")
    assert plan_of(NETWORK, careful, task_needs_approval=True).approvals == ("task", "ocr", "report")


def test_every_plan_has_an_id_of_its_own() -> None:
    assert plan_of(NETWORK, cards()).plan_id != plan_of(NETWORK, cards()).plan_id


def test_what_was_charged_a_few_times_is_the_middle_and_the_card_stays_within_the_interval() -> None:
    priced = cards(ocr={"cost": Cost(per_call=5.0)}, **{name: {"cost": Cost()} for name in ("summary", "analysis")})
    past = StepPast()
    for charged in (1.0, 2.0, 3.0):
        past.learn(seen([("ocr", "read", 10.0, True)], cost=charged))
    cost = plan_of(NETWORK, priced, past=past, promise=promise_of(NETWORK, {}, past, Calibration())).estimate.cost
    assert cost.middle == pytest.approx(2.0)
    assert cost.low == pytest.approx(1.2)
    assert cost.high >= 5.0

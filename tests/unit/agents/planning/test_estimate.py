"""A plan says what it will take, and who has to say yes."""

from planning_fleet import ANALYSIS, OCR, REPORT, SUMMARY

from agents.planning.estimate import UNMEASURED_MS, plan_of
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
    assert plan.estimated_ms == 3 * UNMEASURED_MS


def test_measured_latencies_move_the_critical_path() -> None:
    measured = {"ocr": 100.0, "summary": 50.0, "analysis": 900.0, "report": 10.0}
    plan = plan_of(NETWORK, cards(), usual=lambda agent, _skill: measured[agent])
    assert plan.critical_path == ("analysis", "report")
    assert plan.estimated_ms == 910.0


def test_no_step_is_expected_to_take_longer_than_it_may() -> None:
    hasty = cards(ocr={"timeouts": Timeouts(step_s=0.05)})
    assert plan_of(NETWORK, hasty).estimated_ms == 50.0 + 2 * UNMEASURED_MS


def test_cost_counts_every_node_by_call_and_by_second() -> None:
    paid = cards(summary={"cost": Cost(per_call=1.0, per_second=2.0)})
    plan = plan_of(NETWORK, paid, usual=lambda _agent, _skill: 500.0)
    assert plan.estimated_cost == 0.01 + 1.0 + 2.0 * 0.5


def test_approvals_come_in_the_order_in_which_they_are_needed() -> None:
    careful = cards(report={"requires_approval": True}, ocr={"requires_approval": True})
    assert plan_of(NETWORK, cards()).approvals == ()
    assert plan_of(NETWORK, careful).approvals == ("ocr", "report")
    assert plan_of(NETWORK, careful, task_needs_approval=True).approvals == ("task", "ocr", "report")


def test_every_plan_has_an_id_of_its_own() -> None:
    assert plan_of(NETWORK, cards()).plan_id != plan_of(NETWORK, cards()).plan_id

"""Content flows only where it is read, and nothing starts without what it requires."""

from planning_fleet import CHART, OCR, SUMMARY

from agents.planning.offers import offers_of
from agents.planning.typecheck import check, flowing
from schemas.network import Edge, Network, Node
from schemas.parts import Modality

TEXT, IMAGE, TABLE = Modality.TEXT, Modality.IMAGE, Modality.TABLE
OFFERS = offers_of([OCR, SUMMARY, CHART])


def network(*edges: tuple[str, str, Modality]) -> Network:
    skills = {"ocr": "read", "summary": "extract", "chart": "draw"}
    names = dict.fromkeys(end for source, target, _ in edges for end in (source, target) if end != "task")
    return Network(
        nodes=tuple(Node(id=name, agent_id=name, skill_id=skills[name]) for name in names),
        edges=tuple(Edge(source=source, target=target, modalities=(kind,)) for source, target, kind in edges),
    )


def problems(*edges: tuple[str, str, Modality], task: frozenset[Modality] = frozenset({IMAGE})) -> list[str]:
    return [str(problem) for problem in check(network(*edges), OFFERS, task)]


def test_a_chain_whose_types_fit_has_no_problem() -> None:
    assert problems(("task", "ocr", IMAGE), ("ocr", "summary", TEXT)) == []


def test_a_picture_cannot_flow_into_a_text_skill() -> None:
    assert problems(("task", "summary", IMAGE)) == [
        "a picture cannot flow into summary.extract, which reads only text",
        "summary.extract requires text, which nothing gives it",
    ]


def test_a_skill_gives_only_what_it_makes() -> None:
    assert "ocr.read does not give a table, only text" in problems(
        ("task", "ocr", IMAGE), ("ocr", "chart", TABLE)
    )  # fmt: skip


def test_the_task_gives_only_what_it_carries_and_its_words() -> None:
    assert problems(("task", "chart", TABLE)) == ["the task does not give a table, only text and image"]
    assert problems(("task", "summary", TEXT)) == []


def test_what_a_skill_requires_must_flow_into_it() -> None:
    assert problems(("task", "chart", TEXT)) == ["chart.draw requires a table, which nothing gives it"]


def test_an_unknown_skill_is_named() -> None:
    stranger = Network(
        nodes=(Node(id="x", agent_id="ghost", skill_id="walk"),),
        edges=(Edge(source="task", target="x", modalities=(TEXT,)),),
    )
    assert [str(p) for p in check(stranger, OFFERS, frozenset())] == ["ghost has no skill walk"]


def test_kinds_flow_in_one_fixed_order() -> None:
    assert flowing(frozenset({TABLE, TEXT, IMAGE}), frozenset({IMAGE, TEXT})) == (TEXT, IMAGE)

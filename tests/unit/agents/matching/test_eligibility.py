"""Who may be chosen, and the reason why not, before any similarity."""

import pytest

from agents.matching.eligibility import why_not
from schemas.card import AgentCard, Liveness, NatsEndpoint, Skill
from schemas.parts import Modality
from schemas.task import RoutingHints

TEXT = frozenset({Modality.TEXT})


def a_card(agent_id: str, **more: object) -> AgentCard:
    skill = Skill(id="s", description="Does something.", inputs=(Modality.TEXT,), outputs=(Modality.TEXT,))
    values = {"version": "1.0.0", "description": "Does something.", "skills": (skill,), "endpoint": NatsEndpoint()}
    return AgentCard(id=agent_id, **{**values, **more})  # type: ignore[arg-type]


def test_without_restrictions_everyone_alive_may():
    assert why_not(a_card("a"), Liveness.ALIVE, TEXT, RoutingHints()) is None


@pytest.mark.parametrize(
    ("card", "hints", "liveness", "words"),
    [
        (a_card("a"), RoutingHints(exclude=("a",)), Liveness.ALIVE, "excludes it"),
        (a_card("a"), RoutingHints(required_capabilities=("gpu",)), Liveness.ALIVE, "capability 'gpu'"),
        (a_card("a", tags=("gpu",)), RoutingHints(required_capabilities=("gpu", "eu")), Liveness.ALIVE, "'eu'"),
        (a_card("a"), RoutingHints(), Liveness.DEAD, "dead"),
        (a_card("a", requires_modalities=(Modality.IMAGE,)), RoutingHints(), Liveness.ALIVE, "needs 'image'"),
        (None, RoutingHints(), Liveness.DEAD, "not registered"),
    ],
)
def test_who_may_not_is_told_why(card: AgentCard | None, hints: RoutingHints, liveness: Liveness, words: str):
    assert words in (why_not(card, liveness, TEXT, hints) or "")


def test_a_new_agent_that_has_not_spoken_yet_may():
    assert why_not(a_card("a"), Liveness.UNKNOWN, TEXT, RoutingHints()) is None


def test_an_agent_with_every_tag_asked_for_may():
    hints = RoutingHints(required_capabilities=("gpu", "eu"))
    assert why_not(a_card("a", tags=("eu", "gpu", "x")), Liveness.ALIVE, TEXT, hints) is None


def test_a_modality_the_task_carries_beside_others_is_enough():
    card = a_card("a", requires_modalities=(Modality.IMAGE,))
    assert why_not(card, Liveness.ALIVE, frozenset({Modality.TEXT, Modality.IMAGE}), RoutingHints()) is None


def test_a_search_has_no_modalities_to_miss():
    card = a_card("a", requires_modalities=(Modality.IMAGE,))
    assert why_not(card, Liveness.ALIVE, None, RoutingHints()) is None

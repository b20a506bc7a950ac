"""Several answers become one by somebody who reads something of each; else by one who does the same for all, or not."""

import pytest

from agents.planning.draft import Draft
from agents.planning.feeding import Feed, Link
from agents.planning.joining import join
from agents.planning.offers import Offer
from schemas.network import TASK
from schemas.parts import Modality

TEXT, IMAGE, TABLE, DOCUMENT = Modality.TEXT, Modality.IMAGE, Modality.TABLE, Modality.DOCUMENT
READS_TEXT = Offer("texts", "write", frozenset({TEXT}), frozenset(), frozenset({DOCUMENT}))
READS_BOTH = Offer("both", "write", frozenset({TEXT, IMAGE}), frozenset(), frozenset({DOCUMENT}))
NEEDS_TABLE = Offer("tables", "write", frozenset({TEXT, IMAGE, TABLE}), frozenset({TABLE}), frozenset({DOCUMENT}))
FROM_TASK = Feed((Link(TASK, (), (TEXT,)),))


def nearest_first(offer: Offer, _words: str) -> float:
    return {"tables": 0.9, "texts": 0.8, "both": 0.2}[offer.agent_id]


def draft_of(*makes: Modality) -> tuple[Draft, tuple[str, ...]]:
    """A draft of one agent for each kind of answer."""
    draft = Draft()
    offers = [Offer(f"makes-{kind}", "s", frozenset({TEXT}), frozenset(), frozenset({kind})) for kind in makes]
    return draft, tuple(draft.add(offer, f"make {offer.agent_id}", FROM_TASK) for offer in offers)


def test_whoever_reads_every_answer_joins_them_and_not_somebody_nearer_who_reads_one() -> None:
    draft, answers = draft_of(TEXT, IMAGE)
    assert join(draft, answers, [NEEDS_TABLE, READS_TEXT, READS_BOTH], nearest_first) is None
    assert draft.sinks() == ("both",)
    assert draft.incoming("both") == {("makes-text", frozenset({TEXT})), ("makes-image", frozenset({IMAGE}))}


@pytest.mark.parametrize("collector", [READS_TEXT, NEEDS_TABLE])
def test_answers_that_nobody_reads_all_of_are_a_problem_in_words(collector: Offer) -> None:
    draft, answers = draft_of(TEXT, IMAGE)
    problem = join(draft, answers, [collector], nearest_first)
    assert problem is not None
    assert problem.startswith("Nothing joins the results of makes-text.s and makes-image.s")
    assert "reads image, text and writes a document" in problem


def test_one_answer_needs_nobody() -> None:
    draft, answers = draft_of(TEXT)
    assert join(draft, answers, [], nearest_first) is None
    assert len(draft) == 1

"""Brings several open ends of a network to one sink. Pure; called by ``greedy``. Decision: docs/decisions/0002."""

from collections.abc import Iterable, Sequence

from agents.planning.bridge import Nearness
from agents.planning.draft import Draft
from agents.planning.feeding import Feed, Link
from agents.planning.offers import Offer
from agents.planning.typecheck import flowing
from schemas.parts import Modality

COLLECT = "Collect these results into one report"
COLLECTS_FROM = 0.5
"""A skill this near to ``COLLECT`` may join results even when it makes no document."""


def join(draft: Draft, answers: Sequence[str], offers: Iterable[Offer], nearness: Nearness) -> str | None:
    """Give the draft one sink that has all ``answers``; the words of the problem when nothing can, None when done.

    ``offers`` are those that may stand between others. An answer that is read on the way to another one is an end all
    the same: both were asked for.
    """
    ends = tuple(dict.fromkeys((*answers, *draft.sinks())))
    if len(ends) > 1:
        collector = _collector(draft, ends, offers, nearness)
        if collector is None:
            _fold(draft)
        else:
            links = tuple(Link(end, (), flowing(draft.kinds(end), collector.inputs)) for end in ends)
            draft.add(collector, COLLECT, Feed(links))
    return None if len(draft.sinks()) == 1 else _problem(draft)


def _collector(draft: Draft, ends: Sequence[str], offers: Iterable[Offer], nearness: Nearness) -> Offer | None:
    """The skill that reads something of every end and makes one document of it."""
    kinds = [draft.kinds(end) for end in ends]
    made = frozenset(kind for made in kinds for kind in made)
    able = [
        offer
        for offer in offers
        if all(offer.inputs & each for each in kinds)
        and offer.requires <= made
        and (Modality.DOCUMENT in offer.outputs or nearness(offer, COLLECT) >= COLLECTS_FROM)
    ]
    return min(able, key=lambda offer: (-nearness(offer, COLLECT), offer.cost, offer.key), default=None)


def _fold(draft: Draft) -> None:
    """Let one node do what several would do with the same skill on the same content."""
    first: dict[object, str] = {}
    for sink in draft.sinks():
        same = (draft.offer(sink).key, draft.incoming(sink))
        if same in first:
            draft.extend(first[same], draft.goal(sink))
            draft.drop(sink)
        else:
            first[same] = sink


def _problem(draft: Draft) -> str:
    ends = " and ".join(draft.offer(sink).label for sink in draft.sinks())
    kinds = sorted({kind.value for sink in draft.sinks() for kind in draft.kinds(sink)})
    return (
        f"Nothing joins the results of {ends}. Register an agent that reads {', '.join(kinds)} and writes a document, "
        "such as examples/agents/report.yaml, or submit the goals as tasks of their own."
    )

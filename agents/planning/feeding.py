"""What has to flow into a skill so that it can work: directly, through a bridge, or not at all. Used by ``greedy``."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from agents.planning.bridge import Hop, Nearness, Steps, bridge, cheapest_steps
from agents.planning.catalogue import Eligible
from agents.planning.offers import Kinds, Offer
from agents.planning.typecheck import TypeProblem, cannot_flow, flowing
from schemas.network import TASK
from schemas.parts import Modality


@dataclass(frozen=True, slots=True)
class Source:
    """Where content can come from: the task or a node, and which kinds of content it has."""

    id: str
    kinds: Kinds


@dataclass(frozen=True, slots=True)
class Link:
    """Content of ``kinds`` on its way from a source into the skill, through the agents of ``hops``."""

    source: str
    hops: tuple[Hop, ...]
    kinds: tuple[Modality, ...]


@dataclass(frozen=True, slots=True)
class Feed:
    """Everything that flows into a skill."""

    links: tuple[Link, ...]

    @property
    def hops(self) -> int:
        """How many agents the bridges insert."""
        return sum(len(link.hops) for link in self.links)


class Bridges:
    """The skills that may be inserted, and how near they are to conversions. They are looked through once at most."""

    def __init__(self, offers: Eligible, nearness: Nearness) -> None:
        self._offers = offers
        self._nearness = nearness
        self._steps: Steps | None = None

    def build(self, have: Kinds, want: Kinds) -> tuple[Hop, ...] | None:
        """The cheapest chain of agents from ``have`` to ``want``."""
        if self._steps is None:
            self._steps = cheapest_steps(self._offers.go_betweens, self._nearness)
        return bridge(have, want, self._steps)


def feed(offer: Offer, sources: Iterable[Source], task: Kinds, bridges: Bridges) -> Feed | TypeProblem:
    """How the skill can be fed from these sources; what the task carries tops up what the skill requires beside."""
    listed = tuple(sources)
    links = [link for source in listed if (link := _link(offer, source, bridges)) is not None]
    if not links:
        every = frozenset(kind for source in listed for kind in source.kinds)
        return cannot_flow(every, offer)
    for kind in sorted(offer.requires - {kind for link in links for kind in link.kinds}):
        extra = _required(kind, offer, listed, task, bridges)
        if isinstance(extra, TypeProblem):
            return extra
        links.append(extra)
    return Feed(tuple(links))


def _link(offer: Offer, source: Source, bridges: Bridges) -> Link | None:
    direct = flowing(source.kinds, offer.inputs)
    if direct:
        return Link(source.id, (), direct)
    # Most skills read words beside their content: a bridge leads to the content that they cannot do without.
    hops = bridges.build(source.kinds, (offer.requires - {Modality.TEXT}) or offer.inputs)
    return Link(source.id, hops, flowing(hops[-1].offer.outputs, offer.inputs)) if hops else None


def _required(
    kind: Modality, offer: Offer, sources: Sequence[Source], task: Kinds, bridges: Bridges
) -> Link | TypeProblem:
    if kind in task or kind is Modality.TEXT:
        return Link(TASK, (), (kind,))
    for source in sources:
        hops = bridges.build(source.kinds, frozenset({kind}))
        if hops:
            return Link(source.id, hops, flowing(hops[-1].offer.outputs, offer.inputs))
    return TypeProblem(f"{offer.label} requires {kind.value}, which nothing there can be turned into")

"""The offers of a whole fleet, and those of them that may serve a task. Made by ``planner``, read by ``greedy``.

A fleet may have tens of thousands of skills, and most tasks need to know of one candidate's: what is said of all of
them is made when cards change, not for each task.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain

from agents.planning.bridge import is_go_between
from agents.planning.offers import Offer, OfferKey, offer_of
from schemas.card import AgentCard


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """Every offer of a fleet by agent and skill id, in that order, so that ties are broken the same way always.

    ``go_betweens`` are those that may stand between others, in the same order.
    """

    cards: Mapping[str, AgentCard]
    offers: Mapping[OfferKey, Offer]
    go_betweens: tuple[Offer, ...]


class Catalogue:
    """The present listing of each tenant. Cards that did not change are not read again."""

    def __init__(self) -> None:
        self._listings: dict[str, Listing] = {}

    def of(self, tenant: str, cards: Mapping[str, AgentCard]) -> Listing:
        """``cards`` is a snapshot that never changes, and so is what is given back."""
        known = self._listings.get(tenant, _NOTHING)
        if known.cards is not cards:
            offers = chain.from_iterable(_offers_of(card, known) for card in cards.values())
            listed = {offer.key: offer for offer in sorted(offers, key=lambda offer: offer.key)}
            known = Listing(cards, listed, tuple(filter(is_go_between, listed.values())))
            if cards:
                self._listings[tenant] = known
            else:
                self._listings.pop(tenant, None)
        return known


class Eligible(Mapping[OfferKey, Offer]):
    """Those of the listing whose agents may work. Nobody is looked at before somebody asks for them, nor twice: a task

    that its candidates can do costs the same whatever the size of the fleet.
    """

    def __init__(
        self, listing: Listing, may_work: Callable[[str], bool], barred: frozenset[OfferKey] = frozenset()
    ) -> None:
        self._listing = listing
        self._may_work = may_work
        self._barred = barred
        self._looked_at: dict[str, bool] = {}
        self._go_betweens: tuple[Offer, ...] | None = None

    @property
    def go_betweens(self) -> tuple[Offer, ...]:
        """Those that may stand between others."""
        if self._go_betweens is None:
            self._go_betweens = tuple(offer for offer in self._listing.go_betweens if self._may(offer.key))
        return self._go_betweens

    def without(self, key: OfferKey) -> "Eligible":
        """The same but for that one."""
        return Eligible(self._listing, self._may_work, self._barred | {key})

    def only(self, key: OfferKey) -> "Eligible":
        """That one alone, if it may work."""
        offer = self._listing.offers[key]
        alone = Listing(self._listing.cards, {key: offer}, (offer,) if is_go_between(offer) else ())
        return Eligible(alone, self._may_work, self._barred)

    def __getitem__(self, key: OfferKey) -> Offer:
        offer = self._listing.offers[key]
        if not self._may(key):
            raise KeyError(key)
        return offer

    def __iter__(self) -> Iterator[OfferKey]:
        return filter(self._may, self._listing.offers)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _may(self, key: OfferKey) -> bool:
        agent_id = key[0]
        if agent_id not in self._looked_at:
            self._looked_at[agent_id] = self._may_work(agent_id)
        return self._looked_at[agent_id] and key not in self._barred


def _offers_of(card: AgentCard, known: Listing) -> Iterator[Offer]:
    same = known.cards.get(card.id) is card
    return (known.offers[card.id, skill.id] if same else offer_of(card, skill) for skill in card.skills)


_NOTHING = Listing({}, {}, ())

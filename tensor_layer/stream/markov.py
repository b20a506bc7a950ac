"""Learns which tensor follows which, while they are being used: Markov chains of order 2, falling back to order 1.

Implements ``prefetch.Forecaster``. Bounded: the contexts used least recently are forgotten first.
"""

from collections import OrderedDict
from collections.abc import Hashable

CONTEXTS_MAX = 65_536
SUCCESSORS_MAX = 4
COUNT_MAX = 64
"""Counts are halved past this, so that a sequence that changed is followed within some dozens of accesses."""


class Markov:
    """Next keys with their chances. Not thread-safe; microseconds a call."""

    def __init__(self, contexts_max: int = CONTEXTS_MAX) -> None:
        self._contexts_max = contexts_max
        self._followers: OrderedDict[Hashable, dict[str, int]] = OrderedDict()
        self._last: tuple[str | None, str | None] = (None, None)

    def saw(self, key: str) -> None:
        """Learn that ``key`` was used now."""
        before, last = self._last
        if last is not None:
            self._count(last, key)
            self._count((before, last), key)
        self._last = (last, key)

    def ahead(self, steps: int) -> list[tuple[str, float]]:
        """The likeliest next keys, nearest first, each with the chance that the chain holds so far."""
        before, last = self._last
        chance, found = 1.0, []
        for _ in range(steps):
            follower = self._likeliest(before, last)
            if follower is None:
                break
            key, share = follower
            chance *= share
            found.append((key, chance))
            before, last = last, key
        return found

    def _likeliest(self, before: str | None, last: str | None) -> tuple[str, float] | None:
        followers = self._followers.get((before, last)) or self._followers.get(last)
        if not followers:
            return None
        key = max(followers, key=followers.__getitem__)
        return key, followers[key] / sum(followers.values())

    def _count(self, context: Hashable, key: str) -> None:
        followers = self._followers.setdefault(context, {})
        self._followers.move_to_end(context)
        if key not in followers and len(followers) >= SUCCESSORS_MAX:
            del followers[min(followers, key=followers.__getitem__)]
        followers[key] = followers.get(key, 0) + 1
        if followers[key] > COUNT_MAX:
            for known in list(followers):
                followers[known] //= 2
                if not followers[known]:
                    del followers[known]
        if len(self._followers) > self._contexts_max:
            self._followers.popitem(last=False)

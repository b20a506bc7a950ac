"""How long work says how far it is. Given by whoever shows it, called by compaction, exports, forgetting and mining."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Told how much is done of how much; of 0 where nobody knows how much there is."""


def unseen(_done: int, _total: int) -> None:
    """For work that nobody watches."""

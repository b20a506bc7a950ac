"""Moments as exact integers, the way both durable stores keep them."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Exact microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def within(moments: Collection[datetime]) -> tuple[datetime, datetime]:
    """The time that holds all of them; the second moment is no longer in it."""
    return min(moments), max(moments) + _MICROSECOND

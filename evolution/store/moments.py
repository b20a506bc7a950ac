"""Moments as exact integers, the way both durable stores keep them."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Exact microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND

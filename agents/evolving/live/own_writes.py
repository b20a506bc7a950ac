"""Which of a worker's own writes have yet to come back from the bus. Kept by ``book``, which follows what it writes."""

from collections import deque
from datetime import datetime

WAITED_FOR_MAX = 8
"""Writes of one kind; some never come back, for they could not be written."""

Key = tuple[str, str]


class OwnWrites:
    """The moments of own writes by key, oldest first. Moments only name writes here; they order nothing."""

    def __init__(self) -> None:
        self._awaited: dict[Key, deque[datetime]] = {}

    def wrote(self, key: Key, at: datetime) -> None:
        """A value of that moment is about to be written."""
        self._awaited.setdefault(key, deque(maxlen=WAITED_FOR_MAX)).append(at)

    def is_overtaken(self, key: Key, at: datetime) -> bool:
        """Whether the value of that moment, which the bus tells now, is an own one that a newer own one will follow."""
        awaited = self._awaited.get(key)
        if awaited is None or at not in awaited:
            return False  # another worker's: the bus's last word counts, whatever anybody's clock says
        while awaited[0] != at:
            awaited.popleft()
        awaited.popleft()
        if not awaited:
            del self._awaited[key]
        return bool(awaited)

    def forget(self, key: Key) -> None:
        """Its value was removed."""
        self._awaited.pop(key, None)

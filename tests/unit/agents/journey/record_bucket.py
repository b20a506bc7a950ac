"""The bucket of tasks' records, in memory: compare-and-set as on the bus, which is away when a test says so."""

from types import SimpleNamespace

from nats.js.errors import KeyNotFoundError, KeyWrongLastSequenceError


class RecordBucket:
    """As much of nats-py's KeyValue as `agents.journey.records` asks for."""

    def __init__(self) -> None:
        self.values: dict[str, tuple[bytes, int]] = {}
        self.away: Exception | None = None
        self.writes = 0

    async def get(self, key: str, *, validate_keys: bool) -> SimpleNamespace:
        self._answer()
        if key not in self.values:
            raise KeyNotFoundError
        value, revision = self.values[key]
        return SimpleNamespace(value=value, revision=revision)

    async def update(self, key: str, value: bytes, *, last: int, validate_keys: bool) -> int:
        self._answer()
        self.writes += 1
        if last != self.values.get(key, (b"", 0))[1]:
            raise KeyWrongLastSequenceError
        self.values[key] = value, last + 1
        return last + 1

    def _answer(self) -> None:
        if self.away is not None:
            raise self.away

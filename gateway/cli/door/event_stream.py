"""Reads server-sent events (WHATWG HTML, section 9.2) from lines. Called by the client of the HTTP door."""

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its id in the stream, its name and its data."""

    id: str
    event: str
    data: str


async def parse(lines: AsyncIterable[str]) -> AsyncIterator[ServerEvent]:
    """Events as their blank line ends them; comments and unknown fields are skipped, an unfinished event is dropped."""
    last_id, name, data = "", "", list[str]()
    async for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield ServerEvent(last_id, name or "message", "\n".join(data))
            name, data = "", []
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "id":
            last_id = value

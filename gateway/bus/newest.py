"""Pages through stored messages from the newest back, within a bounded search. Called by lists of tasks and the dead.

A stream is read forwards, so it is searched in windows from its end; windows grow while they hold little.
"""

from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.bus.stream_reader import Stored, StreamReader

_FIRST_WINDOW = 256
_LARGEST_WINDOW = 8192
_WINDOWS_PER_PAGE = 32

Item = TypeVar("Item")
Pick = Callable[[Stored], Item | None]


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """What was found, newest first. ``before_seq`` is where to go on, None at the beginning of the stream.

    A page may be short, or empty, and still have more before it: its search was long enough.
    """

    items: tuple[Item, ...]
    before_seq: int | None


async def newest(
    reader: StreamReader, subject: str, pick: Pick[Item], *, limit: int, before_seq: int | None = None
) -> Page[Item]:
    """Up to ``limit`` of the newest messages that ``pick`` makes something of. Raises BusUnavailable."""
    end = before_seq if before_seq is not None else await _end(reader, subject)
    window, found = _FIRST_WINDOW, list[tuple[int, Item]]()
    for _ in range(_WINDOWS_PER_PAGE):
        start = max(1, end - window)
        found += reversed(await _last_between(reader, subject, pick, start, end, limit - len(found)))
        end = start
        if len(found) >= limit or end <= 1:
            break
        window = min(_LARGEST_WINDOW, window * 2)
    before = found[-1][0] if len(found) >= limit else end
    return Page(tuple(item for _, item in found), before if before > 1 else None)


async def _end(reader: StreamReader, subject: str) -> int:
    last = await reader.last(subject)
    return last.seq + 1 if last else 1


async def _last_between(
    reader: StreamReader, subject: str, pick: Pick[Item], start: int, end: int, limit: int
) -> deque[tuple[int, Item]]:
    """The last ones between two sequences, oldest first; never more than ``limit`` are held."""
    kept: deque[tuple[int, Item]] = deque(maxlen=limit)
    async with aclosing(reader.since(start, subject, end)) as messages:
        async for message in messages:
            item = pick(message)
            if item is not None:
                kept.append((message.seq, item))
    return kept

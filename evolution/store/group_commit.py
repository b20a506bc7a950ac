"""Concurrent writes become one: what waits while a commit is under way goes into the next. Used by the stores."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(slots=True)
class _Waiting(Generic[Item]):
    """One caller's items and where it awaits their fate."""

    items: Sequence[Item]
    done: asyncio.Future[int]


class GroupCommit(Generic[Item]):
    """Collects the items of concurrent ``submit`` calls and writes them group by group, one group at a time.

    ``write`` gets the item lists of some callers, in order of arrival, and answers for each its count or its own
    exception; an exception that it raises fails the whole group. At most ``max_waiting`` callers wait in the queue,
    further ones wait to enter it. Cancelling a caller does not cancel its write.
    """

    def __init__(
        self,
        write: Callable[[list[Sequence[Item]]], Awaitable[Sequence[int | Exception]]],
        *,
        max_waiting: int = 1024,
        max_items: int = 5000,
    ) -> None:
        self._write = write
        self._max_items = max_items
        self._queue: asyncio.Queue[_Waiting[Item]] = asyncio.Queue(max_waiting)
        self._writer: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        """How many callers are in the queue now."""
        return self._queue.qsize()

    async def submit(self, items: Sequence[Item]) -> int:
        """How many of the items were new, once they are safe. Raises whatever ``write`` answered or raised."""
        if self._closed:
            raise RuntimeError("the store is closed")
        if not items:
            return 0
        if self._writer is None:
            self._writer = asyncio.create_task(self._commit_forever(), name="experience group commit")
        waiting = _Waiting(items, asyncio.get_running_loop().create_future())
        await self._queue.put(waiting)
        return await asyncio.shield(waiting.done)

    async def close(self) -> None:
        """Write what waits, then take nothing more."""
        self._closed = True
        if self._writer is None:
            return
        await self._queue.join()
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)

    async def _commit_forever(self) -> None:
        while True:
            group = self._take(await self._queue.get())
            await self._commit(group)
            for _ in group:
                self._queue.task_done()

    def _take(self, first: _Waiting[Item]) -> list[_Waiting[Item]]:
        group, size = [first], len(first.items)
        while size < self._max_items and not self._queue.empty():
            group.append(self._queue.get_nowait())
            size += len(group[-1].items)
        return group

    async def _commit(self, group: list[_Waiting[Item]]) -> None:
        try:
            answers: Sequence[int | Exception] = await self._write([waiting.items for waiting in group])
        except Exception as error:  # noqa: BLE001 - handed on to every caller of the group, not swallowed
            answers = [error] * len(group)
        for waiting, answer in zip(group, answers, strict=True):
            if waiting.done.done():
                continue
            if isinstance(answer, Exception):
                waiting.done.set_exception(answer)
                waiting.done.exception()  # a cancelled caller never looks: no "exception was never retrieved"
            else:
                waiting.done.set_result(answer)

"""How much may wait at once, in tokens. Called by ``batching``."""

import asyncio
from collections import deque


class Room:
    """A first-come semaphore of tokens. What is larger than the whole room takes all of it."""

    def __init__(self, tokens: int) -> None:
        self._size = self._free = tokens
        self._waiters: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def take(self, tokens: int) -> int:
        """Wait for room; returns how much was taken."""
        wanted = min(tokens, self._size)
        if not self._waiters and wanted <= self._free:
            self._free -= wanted
            return wanted
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((wanted, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give(wanted)  # the turn came in the same moment
            else:
                self._admit()
            raise
        return wanted

    def give(self, tokens: int) -> None:
        """Hand room back."""
        self._free += tokens
        self._admit()

    def _admit(self) -> None:
        while self._waiters and (self._waiters[0][1].done() or self._waiters[0][0] <= self._free):
            wanted, turn = self._waiters.popleft()
            if not turn.done():
                self._free -= wanted
                turn.set_result(None)

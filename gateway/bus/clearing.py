"""How full a stream is, and taking messages out of it for good. Used by the chores of the gateway."""

import asyncio
from collections.abc import Collection

import nats.errors
import nats.js.errors
from nats.js import JetStreamContext

from agents.errors import BusUnavailable

_AT_ONCE = 64


class Clearing:
    """One stream. Any number of processes may clear it: what another one removed is no error."""

    def __init__(self, js: JetStreamContext, stream: str) -> None:
        self._js = js
        self._stream = stream

    async def fill(self) -> tuple[int, int]:
        """Its size and its quota, in bytes. Raises BusUnavailable."""
        try:
            info = await self._js.stream_info(self._stream)
        except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
            raise BusUnavailable(f"stream {self._stream} cannot be looked at: {error!r}") from error
        return info.state.bytes, max(info.config.max_bytes or 0, 1)

    async def purge(self, before_seq: int, subject: str | None = None) -> None:
        """All messages before that sequence, or those of one subject. Raises BusUnavailable."""
        try:
            await self._js.purge_stream(self._stream, seq=before_seq, subject=subject)
        except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
            raise BusUnavailable(f"messages cannot be removed from stream {self._stream}: {error!r}") from error

    async def purge_subject(self, subject: str) -> None:
        """All messages of one subject. Raises BusUnavailable."""
        try:
            await self._js.purge_stream(self._stream, subject=subject)
        except (nats.errors.Error, nats.js.errors.Error, OSError) as error:
            raise BusUnavailable(f"messages cannot be removed from stream {self._stream}: {error!r}") from error

    async def delete(self, seq: int) -> None:
        """One message. Raises BusUnavailable."""
        try:
            await self._js.delete_msg(self._stream, seq)
        except nats.js.errors.NotFoundError:
            return
        except (nats.errors.Error, OSError) as error:
            raise BusUnavailable(f"message {seq} of stream {self._stream} cannot be removed: {error!r}") from error

    async def purge_each(self, lasts: Collection[tuple[str, int]]) -> None:
        """Of each subject that message and all before it; what came later stays. Raises BusUnavailable."""
        each = list(lasts)
        for start in range(0, len(each), _AT_ONCE):
            batch = each[start : start + _AT_ONCE]
            await asyncio.gather(*(self.purge(seq + 1, subject) for subject, seq in batch))

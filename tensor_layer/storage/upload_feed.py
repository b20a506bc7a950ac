"""A stream on its way into the object store, measured as it passes by. Used by ``blobs``."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from schemas.parts import BlobRef
from tensor_layer.errors import BlobTooLarge

CHUNK_BYTES = 8 * 1024 * 1024
HASH_ON_LOOP_BYTES = 512 * 1024
"""Hashing this much takes under a millisecond: cheaper than a thread's round trip."""


@dataclass(frozen=True, slots=True)
class Start:
    """The first bytes of a stream: all of them when ``complete``, else ``source`` has more."""

    content: bytes
    source: AsyncIterator[bytes]
    complete: bool


class _SourceFailed(Exception):
    """Carries what the sender's stream raised through obstore."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(slots=True)
class Feed:
    """Measures a stream as it passes by: digest, size, limit."""

    limit_bytes: int
    seen_bytes: int = 0
    hasher: Any = field(default_factory=hashlib.sha256)

    async def fill(self, source: AsyncIterator[bytes]) -> Start:
        """Read one chunk's worth, so that a small upload needs neither a temporary key nor a rename."""
        buffer = bytearray()
        async for chunk in source:
            await self._measure(chunk)
            buffer += chunk
            if len(buffer) >= CHUNK_BYTES:
                return Start(bytes(buffer), source, complete=False)
        return Start(bytes(buffer), source, complete=True)

    async def rest(self, start: Start) -> AsyncIterator[bytes]:
        """The whole stream. What its source raises comes out of ``own_errors`` as it was."""
        yield start.content
        try:
            async for chunk in start.source:
                await self._measure(chunk)
                if chunk:
                    yield chunk
        except Exception as error:
            raise _SourceFailed(error) from error

    @contextmanager
    def own_errors(self) -> Iterator[None]:
        """A sender that hangs up raises OSError too: it must not be taken for a failing store."""
        try:
            yield
        except _SourceFailed as failed:
            raise failed.error from None

    def ref(self) -> BlobRef:
        """Of all that has passed by."""
        return BlobRef(digest=f"sha256:{self.hasher.hexdigest()}", size_bytes=self.seen_bytes)

    async def _measure(self, chunk: bytes) -> None:
        self.seen_bytes += len(chunk)
        if self.seen_bytes > self.limit_bytes:
            raise BlobTooLarge(f"the attachment is larger than the limit of {self.limit_bytes} bytes; nothing was kept")
        if len(chunk) > HASH_ON_LOOP_BYTES:
            await asyncio.to_thread(self.hasher.update, chunk)
        else:
            self.hasher.update(chunk)


async def sha256_of(content: bytes) -> str:
    """Hex digest; of large content in a thread."""
    if len(content) <= HASH_ON_LOOP_BYTES:
        return hashlib.sha256(content).hexdigest()
    return await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())

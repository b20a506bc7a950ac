"""Keeps local copies of remote blobs in one bounded folder. Used by ``ObstoreBlobs.local_path`` for remote stores.

The folder is the state: several processes may share it, and it survives restarts. A copy's modification time is the
moment it was last handed out.
"""

import asyncio
import contextlib
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from schemas.base import new_id
from schemas.parts import BlobRef
from tensor_layer.errors import BlobStoreUnavailable

Source = Callable[[BlobRef], AsyncIterator[bytes]]

IN_USE_S = 600.0
"""A copy handed out this recently may be open somewhere: it is not evicted."""


@dataclass(frozen=True, slots=True)
class _Copy:
    path: Path
    size_bytes: int
    last_used: float


class DownloadCache:
    """Local copies by digest. One download per digest at a time; the least recently used copy goes first."""

    def __init__(self, folder: Path, limit_bytes: int, *, in_use_s: float = IN_USE_S) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes
        self._in_use_s = in_use_s
        self._under_way: dict[str, asyncio.Task[Path]] = {}

    async def path(self, ref: BlobRef, size_bytes: int, source: Source) -> Path:
        """The local copy of ``ref``, downloaded if need be. Raises BlobNotFound, BlobStoreUnavailable."""
        digest = ref.digest.removeprefix("sha256:")
        kept = await asyncio.to_thread(self._kept, digest)
        if kept is not None:
            return kept
        task = self._under_way.get(digest)
        if task is None:
            task = asyncio.create_task(self._download(ref, digest, size_bytes, source))
            self._under_way[digest] = task
            task.add_done_callback(lambda _: self._under_way.pop(digest, None))
        # One caller that gives up must not take the copy away from the others.
        return await asyncio.shield(task)

    def _kept(self, digest: str) -> Path | None:
        path = self._folder / digest
        try:
            os.utime(path)
        except OSError:
            return None
        return path

    async def _download(self, ref: BlobRef, digest: str, size_bytes: int, source: Source) -> Path:
        partial = self._folder / f"{digest}.{new_id()}.partial"
        try:
            await asyncio.to_thread(self._make_room, size_bytes)
            found = await _write(partial, source(ref))
            if found != digest:
                raise BlobStoreUnavailable(f"the object store returned other bytes for {ref.digest} (sha256:{found})")
            await asyncio.to_thread(os.replace, partial, self._folder / digest)
        except OSError as error:
            raise BlobStoreUnavailable(f"no local copy of {ref.digest} can be kept: {error}") from error
        finally:
            await asyncio.to_thread(partial.unlink, missing_ok=True)
        return self._folder / digest

    def _make_room(self, wanted_bytes: int) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        copies = sorted(_copies(self._folder), key=lambda copy: copy.last_used)
        total = sum(copy.size_bytes for copy in copies)
        evictable_before = time.time() - self._in_use_s
        for copy in copies:
            if total + wanted_bytes <= self._limit_bytes:
                return
            if copy.last_used < evictable_before:
                copy.path.unlink(missing_ok=True)
                total -= copy.size_bytes
        if total + wanted_bytes > self._limit_bytes:
            raise BlobStoreUnavailable(
                f"the download cache {self._folder} has no room for {wanted_bytes} bytes: it is limited to "
                f"{self._limit_bytes} bytes and {total} are in use. Raise its limit or try again later."
            )


def _copies(folder: Path) -> list[_Copy]:
    found = []
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process evicts too
            status = path.stat()
            found.append(_Copy(path, status.st_size, status.st_mtime))
    return found


async def _write(path: Path, chunks: AsyncIterator[bytes]) -> str:
    """Write the stream to ``path``; the sha256 of what was written, 64 hex digits."""
    hasher = hashlib.sha256()

    def append(chunk: bytes) -> None:
        with path.open("ab") as file:
            file.write(chunk)
        hasher.update(chunk)

    await asyncio.to_thread(path.touch)
    async for chunk in chunks:
        await asyncio.to_thread(append, chunk)
    return hasher.hexdigest()

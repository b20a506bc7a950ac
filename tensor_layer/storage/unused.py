"""Contents that nobody needs any more leave the object store. Called by the gateway's chores and by forgetting.

Who may still need one is the caller's to know; that nobody begins to use it meanwhile is looked after here. A content
is put out of sight first, and back when a use was noted since (``uses``): either the removal sees the use, or whoever
uses it sees that it is gone and stores it again. A process killed in between leaves it there, and ``settle`` finds it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Self

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from schemas.base import new_id
from tensor_layer.errors import BlobStoreUnavailable, ContentsOfAnother
from tensor_layer.storage.store_urls import open_store
from tensor_layer.storage.uses import last_use, use_of

CONTENTS, ASIDE = "blobs/", "uploads/unused-"
TICK_S = 0.02
SWEPT_BY = "swept-by"
"""The object that says who removes contents here: whoever looks in another place for their names must not."""


class UnusedContents:
    """Contents by digest, ``sha256:<64 hex>``. Any number of processes may remove. Raises BlobStoreUnavailable."""

    def __init__(self, store: ObjectStore, folder: Path | None) -> None:
        self._store = store
        self._folder = folder

    @classmethod
    def from_url(cls, url: str, options: Mapping[str, str] | None = None) -> Self:
        """As ``ObstoreBlobs.from_url``."""
        return cls(*open_store(url, options))

    async def moment(self) -> datetime:
        """Now by the store's own clock, which may tell whole seconds only: after all uses so far, at most a second."""
        probe = f"uploads/clock-{new_id()}"
        with _reported("the object store's clock cannot be read"):
            before = after = await self._told(probe)
            while after <= before:
                await asyncio.sleep(TICK_S)
                after = await self._told(probe)
            await obstore.delete_async(self._store, probe)
        return after

    async def _told(self, probe: str) -> datetime:
        await obstore.put_async(self._store, probe, b"", use_multipart=False)
        return (await obstore.head_async(self._store, probe))["last_modified"]

    async def claim(self, owner: str) -> None:
        """From now on ``owner`` removes contents here, for good. Raises ContentsOfAnother where somebody else does."""
        with _reported("who removes unused contents cannot be read"):
            try:
                held = bytes(await (await obstore.get_async(self._store, SWEPT_BY)).bytes_async()).decode()
            except FileNotFoundError:
                await obstore.put_async(self._store, SWEPT_BY, owner.encode(), use_multipart=False)
                return
        if held != owner:
            raise ContentsOfAnother(
                f"unused contents of this object store are removed by {held}, and this is {owner}: what only one of "
                f"them names would be lost. Give each an object store of its own; where the other is gone, remove the "
                f"object {SWEPT_BY!r}."
            )

    async def older(self, than: datetime) -> AsyncIterator[str]:
        """Digests of contents that were stored before then, and not used since as far as the file's time says."""
        with _reported("contents cannot be listed"):
            async for found in obstore.list(self._store, CONTENTS.rstrip("/"), chunk_size=1000):
                for one in found:
                    if one["last_modified"] < than:
                        yield "sha256:" + one["path"].rpartition("/")[2]

    async def remove(self, digest: str, unused_since: datetime) -> int | None:
        """Its size in bytes; None when it is not there, or somebody used it since then: then it stays."""
        key, aside = _key(digest), _aside(digest)
        with _reported(f"{digest} cannot be removed"):
            try:
                found = await obstore.head_async(self._store, key)
                if found["last_modified"] >= unused_since:
                    return None
                await obstore.rename_async(self._store, key, aside)
            except FileNotFoundError:
                return None
            return found["size"] if await self._drop(digest, unused_since) else None

    async def settle(self, unused_since: datetime) -> int:
        """Finishes what killed processes began; how many contents are gone by it."""
        gone = 0
        with _reported("contents that were set aside cannot be looked at"):
            found = await obstore.list(self._store, "uploads").collect_async()
            for one in found:
                if one["path"].startswith(ASIDE):
                    gone += await self._drop("sha256:" + one["path"].removeprefix(ASIDE), unused_since)
        return gone

    async def _drop(self, digest: str, unused_since: datetime) -> bool:
        """What was set aside is gone for good, or back where it was."""
        key, aside = _key(digest), _aside(digest)
        used_at = await last_use(self._store, self._folder, key, aside)
        try:
            if used_at is not None and used_at >= unused_since:
                await obstore.rename_async(self._store, aside, key)
                return False
            await obstore.delete_async(self._store, aside)
        except FileNotFoundError:
            return False  # another process finished it
        if self._folder is None:
            await obstore.delete_async(self._store, use_of(key))
        return True


def _key(digest: str) -> str:
    name = digest.removeprefix("sha256:")
    return f"{CONTENTS}{name[:2]}/{name}"


def _aside(digest: str) -> str:
    return ASIDE + digest.removeprefix("sha256:")


@contextmanager
def _reported(what: str) -> Iterator[None]:
    try:
        yield
    except (BaseError, OSError) as error:
        raise BlobStoreUnavailable(f"{what}: {str(error).partition(chr(10))[0]}") from error

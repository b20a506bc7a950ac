"""The object store behind ``ports.Blobs``: a local folder, memory or S3 through one client, obstore.

Called by doors (uploads, downloads), inspection and the workers. A blob's key is its content's sha256:
``blobs/<2 hex>/<64 hex>``. A stream whose digest is not known yet goes to ``uploads/<id>`` first and is renamed
when it has ended, so that a blob is either wholly there or not there.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from schemas.base import new_id
from schemas.parts import BlobRef
from tensor_layer.errors import BlobNotFound, BlobStoreUnavailable
from tensor_layer.storage.download_cache import DownloadCache
from tensor_layer.storage.local_uploads import rename_durably, sweep_folder
from tensor_layer.storage.store_urls import open_store
from tensor_layer.storage.upload_feed import CHUNK_BYTES, Feed, sha256_of
from tensor_layer.storage.uses import note_use

UPLOADS_IN_FLIGHT = 3
"""An upload holds at most this many chunks, and the one that is being filled: 32 MiB."""

CACHE_LIMIT_BYTES = 8 * 1024**3
LEFTOVER_AGE_S = 24 * 3600.0


class ObstoreBlobs:
    """Implements ``ports.Blobs``. Safe for concurrent use by many processes over one store."""

    def __init__(self, store: ObjectStore, folder: Path | None, cache: DownloadCache) -> None:
        self._store = store
        self._folder = folder
        self._cache = cache

    @classmethod
    def from_url(
        cls,
        url: str,
        options: Mapping[str, str] | None = None,
        *,
        cache_dir: Path | None = None,
        cache_limit_bytes: int = CACHE_LIMIT_BYTES,
    ) -> Self:
        """Over ``file:///folder``, ``memory://`` or ``s3://bucket/prefix``; ``options`` are the S3 client's settings.

        ``cache_dir`` keeps local copies of remote blobs, for ``local_path`` only; without one they go below the
        user's cache folder. Raises ValueError, BlobStoreUnavailable.
        """
        store, folder = open_store(url, options)
        where = cache_dir or folder or Path.home() / ".cache" / "aos-gateway" / "blobs"
        return cls(store, folder, DownloadCache(where, cache_limit_bytes))

    async def put(self, chunks: AsyncIterable[bytes], limit_bytes: int) -> BlobRef:
        """Store a stream in at most 32 MiB of memory. Idempotent.

        Raises BlobTooLarge (nothing is kept), BlobStoreUnavailable, and whatever ``chunks`` raises.
        """
        feed = Feed(limit_bytes)
        start = await feed.fill(aiter(chunks))
        if start.complete:
            return await self._put_known(start.content, feed.ref())
        upload = f"uploads/{new_id()}"
        with feed.own_errors(), _store_errors("the attachment cannot be stored"):
            await obstore.put_async(
                self._store,
                upload,
                feed.rest(start),
                use_multipart=True,
                chunk_size=CHUNK_BYTES,
                max_concurrency=UPLOADS_IN_FLIGHT,
            )
            return await self._settle(upload, feed.ref())

    async def put_bytes(self, content: bytes) -> BlobRef:
        """Store bytes that are in memory. Idempotent. Raises BlobStoreUnavailable."""
        digest = await sha256_of(content)
        return await self._put_known(content, BlobRef(digest=f"sha256:{digest}", size_bytes=len(content)))

    async def get(self, ref: BlobRef) -> bytes:
        """The whole content. Raises BlobNotFound, BlobStoreUnavailable."""
        with _store_errors("the attachment cannot be read", ref):
            result = await obstore.get_async(self._store, key_of(ref))
            return bytes(await result.bytes_async())

    async def stream(self, ref: BlobRef) -> AsyncIterator[bytes]:
        """The content in chunks of at most 8 MiB. Raises BlobNotFound before the first chunk.

        Each chunk is one ranged request, so that no request outlives its timeout however slow the reader is.
        """
        size_bytes = await self.size_bytes(ref)
        for start in range(0, size_bytes, CHUNK_BYTES):
            with _store_errors("the attachment cannot be read", ref):
                end = min(start + CHUNK_BYTES, size_bytes)
                chunk = bytes(await obstore.get_range_async(self._store, key_of(ref), start=start, end=end))
            yield chunk

    async def exists(self, ref: BlobRef) -> bool:
        """Whether the content is there. Raises BlobStoreUnavailable."""
        if self._folder is not None:
            return os.path.exists(self._folder / key_of(ref))  # noqa: ASYNC240 - one local stat: microseconds
        try:
            await self.size_bytes(ref)
        except BlobNotFound:
            return False
        return True

    async def keep(self, ref: BlobRef) -> bool:
        """Whether the content is there; if so, nobody removes it for as long as if it were stored now.

        Raises BlobStoreUnavailable.
        """
        with _store_errors("the attachment cannot be kept", ref):
            return await note_use(self._store, self._folder, key_of(ref))

    async def size_bytes(self, ref: BlobRef) -> int:
        """How many bytes are really there. Raises BlobNotFound, BlobStoreUnavailable."""
        with _store_errors("the attachment cannot be found", ref):
            return (await obstore.head_async(self._store, key_of(ref)))["size"]

    async def local_path(self, ref: BlobRef) -> Path:
        """A readable local file: the blob's own in a local store, else a copy in the cache folder.

        Read it, never write it. A copy stays for at least ten minutes. Raises BlobNotFound, BlobStoreUnavailable.
        """
        if self._folder is None:
            return await self._cache.path(ref, await self.size_bytes(ref), self.stream)
        if not await self.exists(ref):
            raise _not_found(ref)
        return self._folder / key_of(ref)

    async def sweep_leftovers(self, older_than_s: float = LEFTOVER_AGE_S) -> int:
        """Remove what killed uploads left behind; the count. Call at start and once a day.

        Parts of unfinished S3 uploads are invisible here: give the bucket a lifecycle rule for those.
        Raises BlobStoreUnavailable.
        """
        if self._folder is not None:
            return await asyncio.to_thread(sweep_folder, self._folder / "uploads", time.time() - older_than_s)
        with _store_errors("old uploads cannot be removed"):
            before = datetime.now(UTC) - timedelta(seconds=older_than_s)
            found = await obstore.list(self._store, "uploads").collect_async()
            old = [meta["path"] for meta in found if meta["last_modified"] < before]
            await obstore.delete_async(self._store, old)
            return len(old)

    async def _put_known(self, content: bytes, ref: BlobRef) -> BlobRef:
        if await self.keep(ref):
            return ref
        with _store_errors("the attachment cannot be stored"):
            if self._folder is None:
                await obstore.put_async(self._store, key_of(ref), content, use_multipart=False)
                return ref
            upload = f"uploads/{new_id()}"
            await obstore.put_async(self._store, upload, content, use_multipart=False)
            return await self._settle(upload, ref)

    async def _settle(self, upload: str, ref: BlobRef) -> BlobRef:
        """Make a finished upload visible under its digest, or drop it when that content is there already."""
        if await self.keep(ref):
            await obstore.delete_async(self._store, upload)
        elif self._folder is not None:
            await asyncio.to_thread(rename_durably, self._folder / upload, self._folder / key_of(ref))
        else:
            await obstore.rename_async(self._store, upload, key_of(ref))
        return ref


def key_of(ref: BlobRef) -> str:
    """Where the content lies in the store."""
    digest = ref.digest.removeprefix("sha256:")
    return f"blobs/{digest[:2]}/{digest}"


def _not_found(ref: BlobRef) -> BlobNotFound:
    return BlobNotFound(f"{ref.digest} is not in the object store: upload it first (POST /v1/blobs)")


@contextmanager
def _store_errors(what: str, ref: BlobRef | None = None) -> Iterator[None]:
    """Speak of the store's troubles in this package's words."""
    try:
        yield
    except FileNotFoundError as error:
        if ref is None:
            raise BlobStoreUnavailable(f"{what}: {_first_line(error)}") from error
        raise _not_found(ref) from error
    except (BaseError, OSError) as error:
        raise BlobStoreUnavailable(f"{what}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]

"""The large parts of versions in the object store, as far as pruning touches them. Called by ``pruning``.

They lie among all other contents, by digest. What is set aside goes to ``uploads/``, so that the object store's own
sweep finds it when a process is killed in between.
"""

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore
from pydantic import ValidationError

from evolution.errors import PolicyPartsUnavailable
from schemas.parts import BlobRef
from tensor_layer.errors import BlobStoreUnavailable
from tensor_layer.storage.blobs import key_of
from tensor_layer.storage.store_urls import open_store


class StoredParts:
    """Implements ``pruning.Parts`` over a local folder or S3. Raises PolicyPartsUnavailable."""

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        self._url = url
        self._options = dict(options or {})

    async def set_aside(self, digest: str) -> int | None:
        """Renamed, so that nobody finds it by its digest."""
        try:
            key = _key(digest)
        except ValidationError:
            return None  # a version put together by hand: no content has that name
        with self._reported():
            try:
                size_bytes = (await obstore.head_async(self._store, key))["size"]
                await obstore.rename_async(self._store, key, _aside(digest))
            except FileNotFoundError:
                return None
        return size_bytes

    async def put_back(self, digest: str) -> None:
        """Renamed back, over whatever was stored under the digest meanwhile: it is the same."""
        with self._reported():
            await obstore.rename_async(self._store, _aside(digest), _key(digest))

    async def drop(self, digest: str) -> None:
        """Gone."""
        with self._reported():
            await obstore.delete_async(self._store, _aside(digest))

    @functools.cached_property
    def _store(self) -> ObjectStore:
        return open_store(self._url, self._options)[0]

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except (BaseError, BlobStoreUnavailable, OSError, ValueError) as error:
            words = str(error).partition("\n")[0]
            raise PolicyPartsUnavailable(f"the object store at {self._url} does not answer: {words}") from error


def _key(digest: str) -> str:
    return key_of(BlobRef(digest=digest, size_bytes=0))


def _aside(digest: str) -> str:
    return f"uploads/pruned-{digest.removeprefix('sha256:')}"

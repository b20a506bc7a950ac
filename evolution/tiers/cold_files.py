"""The cold tier's files in the object store: a local folder or S3 through obstore. Synchronous, for a thread.

A file is written whole under a name of its own and read only against the digest that the embedded store remembers.
One that is cut off or changed is set aside under ``experience/quarantine`` at the first reading that notices.
"""

import functools
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore

from evolution.errors import ColdFileDamaged, ColdTierUnavailable
from schemas.base import new_id
from tensor_layer.errors import BlobStoreUnavailable
from tensor_layer.storage.store_urls import open_store
from tensor_layer.storage.syncing import sync

FOLDER = "experience"
QUARANTINE = f"{FOLDER}/quarantine"


@dataclass(frozen=True, slots=True)
class ColdFile:
    """One file as the embedded store remembers it; moments in microseconds, both inclusive."""

    key: str
    tenant: str
    first_us: int
    last_us: int
    last_seq: int
    rows: int
    sha256: str
    problem: str | None = None


class ColdFiles:
    """Reads and writes. Safe for use by many processes: no file is ever changed."""

    def __init__(self, url: str, options: Mapping[str, str] | None = None) -> None:
        self._url = url
        self._options = dict(options or {})

    @functools.cached_property
    def _opened(self) -> tuple[ObjectStore, Path | None]:
        """The store, and its folder if it is one. Opened at first use: who only reads hot records makes no folder."""
        with _reported(self._url):
            return open_store(self._url, self._options)

    @property
    def _store(self) -> ObjectStore:
        return self._opened[0]

    def fresh_key(self, tenant: str, day: str) -> str:
        """A name that no file has had."""
        return f"{FOLDER}/{tenant}/{day}-{new_id()}.parquet"

    def put(self, key: str, content: bytes) -> str:
        """Store a file, on the disk before this returns; answers its digest. Raises ColdTierUnavailable."""
        with _reported(self._url):
            obstore.put(self._store, key, content)
            if (folder := self._opened[1]) is not None:
                _settle(folder, key)
        return hashlib.sha256(content).hexdigest()

    def get(self, file: ColdFile) -> bytes:
        """The file as it was written. Raises ColdFileDamaged, having set the file aside; ColdTierUnavailable."""
        with _reported(self._url, file):
            content = bytes(obstore.get(self._store, file.key).bytes())
        if hashlib.sha256(content).hexdigest() == file.sha256:
            return content
        aside = f"{QUARANTINE}/{file.key.removeprefix(FOLDER + '/').replace('/', '-')}"
        try:
            obstore.rename(self._store, file.key, aside)
        except (BaseError, OSError):
            aside = file.key  # a folder that cannot be changed: the damage is what has to be said
        raise ColdFileDamaged(
            f"cold file {file.key} is damaged: {len(content)} bytes that are not what was written. It held "
            f"{file.rows} records of tenant {file.tenant} and lies in {self._url} under {aside} now. Restore it from "
            "a backup, or repeat to go on without it"
        )

    def delete(self, key: str) -> None:
        """Remove a file, and what a killed process wrote of it; one that is not there is fine.

        Raises ColdTierUnavailable.
        """
        with _reported(self._url):
            with suppress(FileNotFoundError):
                obstore.delete(self._store, key)
            if (folder := self._opened[1]) is not None:
                for begun in (folder / key).parent.glob(f"{Path(key).name}#*"):
                    begun.unlink(missing_ok=True)


def _settle(folder: Path, key: str) -> None:
    """To the disk with the bytes, then with the names that lead to them: the rows are removed next, and that lasts."""
    path = folder / key
    for each in (path, *(parent for parent in path.parents if parent.is_relative_to(folder))):
        sync(each)


@contextmanager
def _reported(url: str, file: ColdFile | None = None) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        where = file.key if file else url
        raise ColdFileDamaged(f"cold file {where} is gone from {url}, or was set aside as damaged") from error
    except (BaseError, BlobStoreUnavailable, OSError, ValueError) as error:
        what = str(error).partition("\n")[0]  # the rest is obstore's own words for those who mend it
        raise ColdTierUnavailable(f"the cold tier at {url} does not answer: {what}") from error

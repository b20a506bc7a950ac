"""Tasks that are being forgotten, noted on the disk before the first of their records goes. Kept by ``digest``.

A process that is killed on the way leaves the note, and whoever forgets or mines next goes on by it: once the records
are gone, nobody could tell any more which tasks of a person the digest, patterns and auditions still name.
"""

import os
from collections.abc import Collection
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from evolution.errors import MiningStateUnusable
from tensor_layer.storage.syncing import sync

_IDS = TypeAdapter(frozenset[str])


class Unfinished:
    """The note of one tenant's folder. Changed only by whoever holds that folder. Raises MiningStateUnusable."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "forgetting.json"

    def tasks(self) -> frozenset[str]:
        """Of which something may be left somewhere."""
        try:
            return _IDS.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValidationError) as error:
            raise MiningStateUnusable(
                f"{self._path}, which says what is still to be forgotten, does not read ({error}). Remove its folder: "
                "mining starts afresh, without what was forgotten"
            ) from error

    def add(self, tasks: Collection[str]) -> None:
        """On the disk before this returns."""
        noted = self.tasks()
        if not noted.issuperset(tasks):
            self._write(noted | set(tasks))

    def done(self, tasks: Collection[str]) -> None:
        """Nothing is left of these."""
        noted = self.tasks()
        if not noted.isdisjoint(tasks):
            self._write(noted - set(tasks))

    def _write(self, tasks: frozenset[str]) -> None:
        try:
            if tasks:
                partial = self._path.with_name(f"{self._path.name}.partial")
                partial.write_bytes(_IDS.dump_json(tasks))
                sync(partial)
                os.replace(partial, self._path)
            else:
                self._path.unlink(missing_ok=True)
            sync(self._path.parent)
        except OSError as error:
            raise MiningStateUnusable(
                f"what is being forgotten cannot be noted in {self._path}: {error}. Nothing that was not noted is gone"
            ) from error

"""Which agents a folder's files had registered when it was last looked at. Used by `folder_watch`.

A small JSON file, replaced at once: the old list or the new one, whatever dies. A damaged one is as good as none: then
agents of files that were deleted meanwhile stay until somebody removes them.
"""

import logging
import os
from collections.abc import Container, Mapping
from pathlib import Path

import orjson

from schemas.card import AgentCard

logger = logging.getLogger(__name__)

Identity = tuple[str, str]
"""Tenant and agent id."""


class FolderMemory:
    """Knows of one folder what an earlier run knew. Without a file it knows nothing and keeps nothing."""

    def __init__(self, file: Path | None, folder: Path) -> None:
        self._file = file
        self._folder = str(folder.absolute())
        self._earlier = self._load()
        self._kept: dict[str, Identity] = {}

    def gone(self, present: Container[Path]) -> dict[str, Identity]:
        """By file, agents of files that the earlier run knew and that are not there any more."""
        return {path: identity for path, identity in self._earlier.items() if Path(path) not in present}

    def forget(self, path: str) -> None:
        """That file's agent was removed."""
        del self._earlier[path]

    def keep(self, registered: Mapping[Path, AgentCard]) -> None:
        """Write down who is registered from which file. Blocks."""
        now = self._earlier | {str(path): (card.tenant, card.id) for path, card in registered.items()}
        if self._file is None or now == self._kept:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.with_suffix(".part")
        part.write_bytes(orjson.dumps({"folder": self._folder, "agents": now}))
        os.replace(part, self._file)
        self._kept = now

    def _load(self) -> dict[str, Identity]:
        if self._file is None or not self._file.exists():
            return {}
        try:
            noted = orjson.loads(self._file.read_bytes())
            if noted["folder"] != self._folder:
                return {}
            return {str(path): (str(tenant), str(agent)) for path, (tenant, agent) in noted["agents"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning("%s is damaged and not used: %s", self._file, error)
            return {}

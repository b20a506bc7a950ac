"""Keeps the registry in step with a folder of schema files. Run by `aos up --agents DIR`."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from watchfiles import awatch

from agents.errors import AgentNotFound, BusUnavailable, CardInvalid
from agents.ports.registry import Registry
from agents.registry.card_files import FolderLoad, LoadedCard, card_files, load_card, with_distinct_ids
from agents.registry.folder_memory import FolderMemory
from schemas.card import AgentCard

logger = logging.getLogger(__name__)

DEBOUNCE_MS = 200
LOOK_AGAIN_MS = 5_000
"""Changes that no notification told of (network folders) are seen this much later."""
RETRY_S = 1.0

FileMark = tuple[int, int, int]
"""Inode, size and time of change: a file with the same mark need not be read again."""


class FolderWatch:
    """Registers every good card of the folder and follows its changes until cancelled.

    A deleted file removes the agent that it had registered. A file that turns bad is reported, and its last good card
    stays registered: a typing error does not take an agent out of service. Agents registered by others are left alone.
    With a ``memory`` file, agents of files that were deleted while nobody watched are removed, too.
    """

    def __init__(
        self,
        folder: Path,
        registry: Registry,
        on_refused: Callable[[CardInvalid], None],
        memory: Path | None = None,
    ) -> None:
        self.ready = asyncio.Event()
        self.loaded = FolderLoad((), ())
        self._folder = folder
        self._registry = registry
        self._on_refused = on_refused
        self._read: dict[Path, tuple[FileMark, LoadedCard | CardInvalid]] = {}
        self._registered: dict[Path, AgentCard] = {}
        self._described: frozenset[tuple[str, str]] = frozenset()
        self._reported: set[str] = set()
        self._memory = FolderMemory(memory, folder)

    async def run(self) -> None:
        """Load, set ``ready``, follow, for ever. Raises FileNotFoundError or NotADirectoryError for a wrong folder."""
        changes = _changes(self._folder)
        # The notifier must listen before the first look, or a change between the two would be missed.
        next_change = asyncio.ensure_future(anext(changes))
        try:
            await asyncio.sleep(0)
            while True:
                await self._keep_in_step()
                self.ready.set()
                await next_change
                next_change = asyncio.ensure_future(anext(changes))
        finally:
            next_change.cancel()
            await asyncio.gather(next_change, return_exceptions=True)
            await changes.aclose()

    async def _keep_in_step(self) -> None:
        while True:
            try:
                await self.synchronise()
                return
            except BusUnavailable as error:
                logger.warning("the agents of %s are registered when the bus is back: %s", self._folder, error)
                await asyncio.sleep(RETRY_S)

    async def synchronise(self) -> FolderLoad:
        """Bring the registry in step with the folder as it is now. Raises BusUnavailable."""
        self.loaded = await asyncio.to_thread(self._load)
        self._described = frozenset(_identity(each.card) for each in self.loaded.cards)
        self._report(self.loaded.refused)
        for each in self.loaded.cards:
            await self._register(each)
        await self._remove_deleted()
        await asyncio.to_thread(self._memory.keep, self._registered)
        return self.loaded

    def _load(self) -> FolderLoad:
        present = card_files(self._folder)
        self._read = {file: self._load_file(file) for file in present}
        results = [result for _, result in self._read.values()]
        loaded = [result for result in results if isinstance(result, LoadedCard)]
        return with_distinct_ids(loaded, [result for result in results if isinstance(result, CardInvalid)])

    def _load_file(self, file: Path) -> tuple[FileMark, LoadedCard | CardInvalid]:
        mark = _mark(file)
        known = self._read.get(file)
        # A refusal may be cured by another file (the agent's module), so bad files are always read again.
        if known is not None and known[0] == mark and isinstance(known[1], LoadedCard):
            return known
        try:
            return mark, LoadedCard(file, load_card(file))
        except CardInvalid as refusal:
            # Without the traceback: its frames hold the refusal before, and that one's, for as long as the file is bad.
            return mark, CardInvalid(str(refusal), refusal.problems)

    def _report(self, refused: tuple[CardInvalid, ...]) -> None:
        """Each refusal once, until the file changes for better or worse."""
        for refusal in refused:
            if str(refusal) not in self._reported:
                self._on_refused(refusal)
        self._reported = {str(refusal) for refusal in refused}

    async def _register(self, loaded: LoadedCard) -> None:
        before = self._registered.get(loaded.path)
        if before == loaded.card:
            return
        try:
            await self._registry.register(loaded.card)
        except CardInvalid as refusal:
            self._report((*self.loaded.refused, refusal))
            return
        self._registered[loaded.path] = loaded.card
        if before is not None and _identity(before) != _identity(loaded.card):
            await self._remove(*_identity(before))

    async def _remove_deleted(self) -> None:
        for path, identity in self._memory.gone(self._read).items():
            logger.info("%s was deleted while nobody watched: its agent is removed", path)
            await self._remove(*identity)
            self._memory.forget(path)
        for file in [file for file in self._registered if file not in self._read]:
            await self._remove(*_identity(self._registered[file]))
            del self._registered[file]

    async def _remove(self, tenant: str, agent_id: str) -> None:
        """Take the agent out, unless another file describes it now (the file was renamed)."""
        if (tenant, agent_id) in self._described:
            return
        try:
            await self._registry.remove(tenant, agent_id)
        except AgentNotFound:
            logger.info("agent %s had been removed already", agent_id)


async def _changes(folder: Path) -> AsyncGenerator[None, None]:
    notifications = awatch(
        folder, debounce=DEBOUNCE_MS, rust_timeout=LOOK_AGAIN_MS, yield_on_timeout=True, recursive=False
    )
    async for _ in notifications:
        yield


def _identity(card: AgentCard) -> tuple[str, str]:
    return card.tenant, card.id


def _mark(file: Path) -> FileMark:
    try:
        status = file.stat()
    except OSError:
        return (0, 0, 0)
    return (status.st_ino, status.st_size, status.st_mtime_ns)

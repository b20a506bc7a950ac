"""Which of the kept things goes when room is needed: S3-FIFO (Yang et al., "FIFO queues are all you need for cache
eviction", SOSP 2023), with its authors' later refinement that a cache that was never full fills its main queue.

Pure bookkeeping on keys and sizes; `cache` and `shared_folder` hold the things themselves. Not thread-safe.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

SMALL_SHARE = 0.1
GHOST_SHARE = 0.9
PROMOTED_AT = 2
USES_COUNTED = 3


@dataclass(slots=True)
class _Entry:
    size_bytes: int
    uses: int = 0


class S3Fifo:
    """A small queue filters out what is used once, a main queue with second chances keeps the rest, ghosts are names
    of what was let go and may come back straight into the main queue.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.used_bytes = 0
        self._small_limit = int(capacity_bytes * SMALL_SHARE)
        self._main_limit = capacity_bytes - self._small_limit
        self._ghost_limit = int(capacity_bytes * GHOST_SHARE)
        self._small: OrderedDict[str, _Entry] = OrderedDict()
        self._main: OrderedDict[str, _Entry] = OrderedDict()
        self._ghosts: OrderedDict[str, int] = OrderedDict()
        self._small_bytes = self._main_bytes = self._ghost_bytes = 0
        self._was_full = False

    def __contains__(self, key: str) -> bool:
        return key in self._small or key in self._main

    def __len__(self) -> int:
        return len(self._small) + len(self._main)

    def __iter__(self) -> Iterator[str]:
        yield from self._small
        yield from self._main

    def use(self, key: str) -> bool:
        """Note that ``key`` was asked for; whether it is kept."""
        entry = self._small.get(key) or self._main.get(key)
        if entry is None:
            return False
        entry.uses += 1
        return True

    def admit(self, key: str, size_bytes: int, used_elsewhere: Callable[[str], bool] | None = None) -> list[str] | None:
        """Keep ``key``; gives the keys that had to go, in order, or None when it is larger than everything together.

        ``used_elsewhere`` is asked about each key about to go; one that another process used gets a second chance.
        """
        if size_bytes > self.capacity_bytes:
            return None
        if key in self:
            return []
        returning = self._forget_ghost(key)
        gone = self.make_room(size_bytes, used_elsewhere)
        entry = _Entry(size_bytes)
        filling = not self._was_full and self._small_bytes >= self._small_limit
        if returning or filling:
            self._into_main(key, entry)
        else:
            self._small[key] = entry
            self._small_bytes += size_bytes
        self.used_bytes += size_bytes
        return gone

    def make_room(self, size_bytes: int, used_elsewhere: Callable[[str], bool] | None = None) -> list[str]:
        """Let keys go until ``size_bytes`` more fit; gives them in order."""
        gone: list[str] = []
        spared: set[str] = set()
        while self.used_bytes + size_bytes > self.capacity_bytes and len(self):
            self._was_full = True
            key = self._evict_main() if self._main_bytes > self._main_limit or not self._small else self._evict_small()
            if key is None:
                continue
            name, entry = key
            if used_elsewhere is not None and name not in spared and used_elsewhere(name):
                spared.add(name)  # once at most, so that this loop ends however busy others are
                self._forget_ghost(name)
                self._into_main(name, entry)
                continue
            self.used_bytes -= entry.size_bytes
            gone.append(name)
        return gone

    def remove(self, key: str) -> None:
        """Forget ``key``: it was deleted for other reasons."""
        entry = self._small.pop(key, None)
        if entry is not None:
            self._small_bytes -= entry.size_bytes
        else:
            entry = self._main.pop(key, None)
            if entry is None:
                return
            self._main_bytes -= entry.size_bytes
        self.used_bytes -= entry.size_bytes

    def _evict_small(self) -> tuple[str, _Entry] | None:
        key, entry = self._small.popitem(last=False)
        self._small_bytes -= entry.size_bytes
        if entry.uses >= PROMOTED_AT:
            entry.uses = 0
            self._into_main(key, entry)
            return None
        self._remember_ghost(key, entry.size_bytes)
        return key, entry

    def _evict_main(self) -> tuple[str, _Entry] | None:
        key, entry = self._main.popitem(last=False)
        if entry.uses > 0:
            entry.uses = min(entry.uses, USES_COUNTED) - 1
            self._main[key] = entry
            return None
        self._main_bytes -= entry.size_bytes
        return key, entry

    def _into_main(self, key: str, entry: _Entry) -> None:
        self._main[key] = entry
        self._main_bytes += entry.size_bytes

    def _remember_ghost(self, key: str, size_bytes: int) -> None:
        self._ghosts[key] = size_bytes
        self._ghost_bytes += size_bytes
        while self._ghost_bytes > self._ghost_limit:
            _, size = self._ghosts.popitem(last=False)
            self._ghost_bytes -= size

    def _forget_ghost(self, key: str) -> bool:
        size = self._ghosts.pop(key, None)
        if size is None:
            return False
        self._ghost_bytes -= size
        return True

"""Where an embedded index lies: its folder, its log, and its shard from last time. Called by the edge index.

One process owns a folder; the next one takes the next. All of this blocks.
"""

import fcntl
import json
import logging
import shutil
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from agents.registry.skill_index.log import SkillLog, latest
from agents.registry.skill_index.shard import Shard

logger = logging.getLogger(__name__)

LOG, SHARD, CLEAN, LOCK = "skills.log", "shard", "clean.json", "lock"


@dataclass(slots=True)
class Home:
    """A folder that this process owns. ``kept``: its log is for the next process too."""

    folder: Path
    lock: BinaryIO
    kept: bool

    @classmethod
    def take(cls, parent: Path | None, *, kept: bool) -> "Home":
        """The first folder below ``parent`` that no process has, or a fresh one that goes when it is left."""
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        if not kept or parent is None:
            folder = Path(tempfile.mkdtemp(prefix="aos-skills-", dir=parent))
            return cls(folder, (folder / LOCK).open("wb"), kept=False)
        for place in range(1_000_000):
            folder = parent / f"skills-{place}"
            folder.mkdir(exist_ok=True)
            lock = (folder / LOCK).open("wb")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
                continue
            return cls(folder, lock, kept=True)
        raise RuntimeError(f"a million processes have an index below {parent}")

    def open_log(self, encoder: str, dimension: int) -> SkillLog:
        """The log from last time, as far as it is sound and by the same encoder; what is lost is said."""
        log = SkillLog(self.folder / LOG, encoder, dimension)
        if log.lost is not None:
            logger.warning("the skill index in %s is filled again from the registry: %s", self.folder, log.lost)
        return log

    def open_shard(self, log: SkillLog, dimension: int) -> tuple[Shard, int]:
        """The shard of everything in the log, and how many of its points are in a graph."""
        for left in self.folder.glob("graph-*"):
            shutil.rmtree(left, ignore_errors=True)
        graphed = self._left_clean(log.end)
        if graphed is not None:
            shard = Shard.load(self.folder / SHARD)
            shard.revive()
            return shard, graphed
        if log.is_mostly_past(sum(1 for _ in latest(log.read))):
            log.rewrite(latest(log.read))
        shard = Shard.create(self.folder / SHARD, dimension)
        for one in latest(log.read):
            shard.write(one.points, dead=False, mark=one.mark)
        return shard, 0

    def leave(self, log: SkillLog, shard: Shard, graphed: int) -> None:
        """Close all, so that the next process finds it as it is, or finds nothing."""
        if self.kept:
            shard.flush()
        shard.close()
        end = log.end
        log.close()
        if self.kept:
            if shard.folder != self.folder / SHARD:
                shutil.rmtree(self.folder / SHARD, ignore_errors=True)
                shard.folder.rename(self.folder / SHARD)
            left = {"end": end, "graphed": graphed, "files": _checksums(self.folder / SHARD)}
            (self.folder / CLEAN).write_text(json.dumps(left))
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.close()

    def _left_clean(self, end: int) -> int | None:
        """How many points the shard from last time has in its graph; None when it is not that of the log."""
        note = self.folder / CLEAN
        try:
            left = json.loads(note.read_text())
            if left["end"] != end:
                return None
            if left["files"] != _checksums(self.folder / SHARD):
                logger.warning("the skill index in %s is built again from its log: its files changed", self.folder)
                return None
            return int(left["graphed"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            logger.warning("the skill index in %s is built again from its log: %s", self.folder, error)
            return None
        finally:
            # From here on the shard changes, and only a clean end says that it is whole.
            note.unlink(missing_ok=True)


def _checksums(folder: Path) -> dict[str, int]:
    """CRC-32 of each file: the engine notices only some kinds of damage, and ends the process over others."""
    sums: dict[str, int] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        checksum = 0
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                checksum = zlib.crc32(chunk, checksum)
        sums[str(path.relative_to(folder))] = checksum
    return sums

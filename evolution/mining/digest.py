"""What mining remembers between two runs, so that it reads every record once. Called by ``miner``.

A folder for each tenant: the columns of what has been read, in Arrow files; the kinds of task; and ``state.json``,
which is replaced in one step and says what belongs together. All of it can be thrown away: the next run reads all.
Beside them lies what is being forgotten (``unfinished``).
"""

import fcntl
import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather
from pydantic import BaseModel, ConfigDict, ValidationError

from evolution.errors import MiningBusy, MiningStateUnusable
from evolution.mining.columns import SCHEMA
from evolution.mining.kinds import Kinds
from evolution.mining.unfinished import Unfinished
from schemas.base import new_id

FORMAT = 2
SEGMENTS = 24
"""So many files are read at each run; past that they become one."""
LOOK_EVERY_S = 0.1


class Segment(BaseModel):
    """One file of rows."""

    model_config = ConfigDict(frozen=True)

    file: str
    rows: int
    last_us: int


class State(BaseModel):
    """What has been read, and by which kinds its tasks were named. What was before ``since_us`` was never read."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    watermark: int = 0
    since_us: int = 0
    segments: tuple[Segment, ...] = ()
    kinds_file: str | None = None
    encoder: str | None = None
    fitted_rows: int = 0
    noise_share: float = 0.0

    @property
    def rows(self) -> int:
        """How many rows are kept."""
        return sum(segment.rows for segment in self.segments)


class DigestFolder:
    """One tenant's digest. Only one process may change it at a time: see ``locked``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.unfinished = Unfinished(folder)

    @contextmanager
    def locked(self, patience_s: float = 0.0) -> Iterator[None]:
        """Held by one process at a time, which others wait for as long as that. For a thread.

        Raises MiningBusy while another process mines this tenant, MiningStateUnusable when it cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / ".lock").open("w")
        except OSError as error:
            raise MiningStateUnusable(f"mining keeps its digest in {self._folder}, which fails: {error}") from error
        with lock:
            if not _taken(lock.fileno(), time.monotonic() + patience_s):
                raise MiningBusy(
                    f"another process mines into {self._folder} now, or forgets; try again when it is done"
                )
            try:
                yield
            except OSError as error:  # a full disk above all
                raise MiningStateUnusable(
                    f"mining cannot write its digest to {self._folder}: {error}. What it had is still there"
                ) from error

    def state(self) -> State:
        """What is kept; a fresh state when there is none, or none that this release can read."""
        try:
            state = State.model_validate_json((self._folder / "state.json").read_bytes())
        except (OSError, ValidationError):
            return State()
        whole = all((self._folder / segment.file).exists() for segment in state.segments)
        return state if state.format == FORMAT and whole else State()

    def kinds(self, state: State) -> Kinds | None:
        """The kinds of that state."""
        if state.kinds_file is None:
            return None
        try:
            with np.load(self._folder / state.kinds_file) as kept:
                names = tuple(int(name) for name in kept["names"])
                return Kinds(kept["centres"], kept["reach"], names, str(kept["method"]), float(kept["silhouette"]))
        except (OSError, ValueError, KeyError):
            return None

    def keep_kinds(self, kinds: Kinds) -> str:
        """Writes kinds to a new file, which counts once a state names it."""
        name = f"kinds-{new_id()}.npz"
        np.savez(
            self._folder / name,
            centres=kinds.centres,
            reach=kinds.reach,
            names=np.array(kinds.names, dtype=np.int64),
            method=np.array(kinds.method),
            silhouette=np.array(kinds.silhouette),
        )
        return name

    def append(self, table: pa.Table) -> Segment:
        """Writes rows to a new file, which counts once a state names it. ``table`` has at least one row."""
        name = f"rows-{new_id()}.arrow"
        whole = table.unify_dictionaries().combine_chunks()
        pyarrow.feather.write_feather(whole, str(self._folder / name), compression="uncompressed")
        return Segment(file=name, rows=len(whole), last_us=int(pc.max(whole["at_us"]).as_py()))

    def load(self, state: State, since_us: int, until_us: int) -> pa.Table:
        """The kept rows of a window. Raises MiningStateUnusable for a damaged file: throw the folder away."""
        tables = [self._read(segment) for segment in state.segments if segment.last_us >= since_us]
        table = pa.concat_tables(tables) if tables else SCHEMA.empty_table()
        inside = pc.and_(pc.greater_equal(table["at_us"], since_us), pc.less(table["at_us"], until_us))
        kept = table if pc.all(inside).as_py() is not False else table.filter(inside)
        return kept.unify_dictionaries()

    def save(self, state: State) -> None:
        """Makes the state the one that counts, and removes files that no longer belong to it."""
        partial = self._folder / "state.json.partial"
        partial.write_text(state.model_dump_json())
        os.replace(partial, self._folder / "state.json")
        wanted = {segment.file for segment in state.segments} | {state.kinds_file}
        for path in (*self._folder.glob("rows-*.arrow"), *self._folder.glob("kinds-*.npz")):
            if path.name not in wanted:
                path.unlink(missing_ok=True)

    def forget(self, tasks: Collection[str]) -> int:
        """Removes these tasks from what is remembered; answers how many rows. For who holds the folder."""
        if not tasks or not (self._folder / "state.json").exists():
            return 0
        state = self.state()
        if not state.segments:
            self.save(state)  # a state that does not read, or of another release: its files are thrown away
            return 0
        table = self.load(state, 0, 2**62)
        kept = table.filter(pc.invert(pc.is_in(table["task_id"], pa.array(sorted(tasks), pa.string()))))
        gone = len(table) - len(kept)
        if gone:
            segments = (self.append(kept),) if len(kept) else ()
            self.save(state.model_copy(update={"segments": segments}))
        return gone

    def _read(self, segment: Segment) -> pa.Table:
        try:
            # Mapped, each of its pages would cost a fault when the columns are put together: five times the CPU.
            return pyarrow.feather.read_table(str(self._folder / segment.file), memory_map=False)
        except (OSError, pa.ArrowInvalid) as error:
            raise MiningStateUnusable(
                f"{self._folder / segment.file} does not read ({error}). Remove {self._folder}; mining starts afresh"
            ) from error


def _taken(lock: int, until_s: float) -> bool:
    """Whether the lock is ours, tried again and again until that moment."""
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until_s:
                return False
            time.sleep(LOOK_EVERY_S)

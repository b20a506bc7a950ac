"""Mines a tenant's window: reads what is new, names its kinds, and finds what keeps happening in all of it.

Called by `aos mine` and by the evolution role's schedule. CPU-bound and synchronous: run it in a thread of its own.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from evolution.mining import digest
from evolution.mining.columns import NOISE, Columns, from_table, table_of
from evolution.mining.digest import DigestFolder, State
from evolution.mining.kinds import HELD_OUT, SAMPLE, Kinds, Vectors, commonest, learned_kinds, unit
from evolution.mining.mine import synthesize
from evolution.mining.rows import Rows
from evolution.mining.sources import MiningSource
from evolution.progress import Progress, unseen
from schemas.pattern import SynthesizedPattern

NEW_KINDS_AT_GROWTH = 2.0
NEW_KINDS_AT_NOISE = 0.1
"""Kinds are learned afresh when there is twice the experience that they were learned from, or when of the new tasks a
tenth more (and twice as many) are of no kind."""
FEW_ROWS = 500


@dataclass(frozen=True, slots=True)
class Window:
    """What is mined: moments in microseconds, ``until_us`` exclusive. ``keep_us`` is when the digest begins."""

    since_us: int
    until_us: int
    keep_us: int


@dataclass(frozen=True, slots=True)
class Report:
    """The patterns of a window, and what it took to find them."""

    patterns: tuple[SynthesizedPattern, ...]
    tasks: int
    read: int
    kinds: Kinds
    learned_kinds_anew: bool
    unfinished: frozenset[str] = frozenset()
    """Tasks that somebody began to forget and was ended: they are in no pattern, nor in the digest any more."""


class Miner:
    """One tenant's miner over a source. ``quote`` says whether patterns may repeat the words of tasks."""

    def __init__(
        self,
        source: MiningSource,
        folder: DigestFolder,
        tenant: str,
        *,
        seed: int = 0,
        quote: bool = True,
        progress: Progress = unseen,
    ) -> None:
        self._source = source
        self._folder = folder
        self._tenant = tenant
        self._seed = seed
        self._quote = quote
        self._progress = progress

    def mine(self, window: Window, *, afresh: bool = False) -> Report:
        """Read what is new and mine the window. ``afresh`` reads everything and learns the kinds again.

        Raises MiningBusy, MiningStateUnusable, ExperienceStoreUnavailable.
        """
        with self._folder.locked(), _collector_at_rest(), _plain_memory():
            unfinished = self._folder.unfinished.tasks()
            self._folder.forget(unfinished)
            state = self._folder.state()
            kinds = self._folder.kinds(state)
            anew = afresh or kinds is None or window.keep_us < state.since_us
            read = 0
            if not anew:
                assert kinds is not None
                state, read, anew = self._continue(state, kinds, window)
            if anew:
                state, kinds, read = self._begin(kinds, window)
            assert kinds is not None
            columns = from_table(self._folder.load(state, window.since_us, window.until_us))
            return Report(self._synthesize(columns, kinds), len(columns), read, kinds, anew, unfinished)

    def _synthesize(self, columns: Columns, kinds: Kinds) -> tuple[SynthesizedPattern, ...]:
        return synthesize(
            columns, kinds, self._tenant, lambda tasks: self._source.words(self._tenant, tasks) if self._quote else {}
        )

    def _begin(self, previous: Kinds | None, window: Window) -> tuple[State, Kinds, int]:
        """Learn the kinds from a sample of everything kept, and read everything."""
        drawn = self._source.sample(self._tenant, window.keep_us, SAMPLE + HELD_OUT, self._seed)
        encoder = commonest([version for _, version in drawn])
        vectors = _stacked([vector for vector, version in drawn if version == encoder])
        kinds = learned_kinds(vectors, previous, self._seed)
        state = State(kinds_file=self._folder.keep_kinds(kinds), encoder=encoder, since_us=window.keep_us)
        state, read, _ = self._read(state, kinds, window)
        state = state.model_copy(update={"fitted_rows": state.rows})
        self._folder.save(state)
        return state, kinds, read

    def _continue(self, state: State, kinds: Kinds, window: Window) -> tuple[State, int, bool]:
        """Read what was stored since the last run. Answers too whether the kinds no longer fit."""
        kept = tuple(segment for segment in state.segments if segment.last_us >= window.keep_us)
        if len(kept) < len(state.segments):
            state = state.model_copy(update={"segments": kept, "since_us": window.keep_us})
        state, read, noise = self._read(state, kinds, window)
        odd = read >= FEW_ROWS and noise > max(2 * state.noise_share, state.noise_share + NEW_KINDS_AT_NOISE)
        grown = state.rows >= NEW_KINDS_AT_GROWTH * state.fitted_rows and read > 0
        if len(state.segments) > digest.SEGMENTS:
            merged = self._folder.append(self._folder.load(state, 0, 2**62))
            state = state.model_copy(update={"segments": (merged,)})
        self._folder.save(state)
        return state, read, odd or grown

    def _read(self, state: State, kinds: Kinds, window: Window) -> tuple[State, int, float]:
        """The state after reading what is new; how many rows that was, and the share of them that is of no kind."""
        total = self._source.count(self._tenant, state.watermark, window.keep_us)
        tables: list[pa.Table] = []
        read, watermark = 0, state.watermark
        for rows in self._source.rows(self._tenant, state.watermark, window.keep_us):
            tables.append(named(rows, kinds, state.encoder))
            read += len(rows)
            watermark = max(watermark, *rows.values["seq"])
            self._progress(read, max(total, read))
        if not tables:
            return state, 0, 0.0
        table = pa.concat_tables(tables)
        noise = float((table["kind"].to_numpy() == NOISE).mean())
        changes = {"watermark": watermark, "segments": (*state.segments, self._folder.append(table))}
        if not state.segments:
            changes["noise_share"] = noise
        return state.model_copy(update=changes), read, noise


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Reading and counting make millions of small objects, few of them in cycles, and Python's collector of cycles
    would go through them again and again: a quarter of a run's CPU. What they take goes back with the run."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


@contextmanager
def _plain_memory() -> Iterator[None]:
    """Arrow's own allocator gives every large column fresh pages, which the kernel fills with zeros: a quarter of a
    day's run. The C library's keeps them."""
    usual = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(usual)


def named(rows: Rows, kinds: Kinds, encoder: str | None) -> pa.Table:
    """Rows as a table of ``columns.SCHEMA``, each task with its kind."""
    kind = np.full(len(rows), NOISE, dtype=np.int32)
    width = 4 * kinds.centres.shape[1] if len(kinds.centres) else -1
    comparable = [
        place
        for place, (vector, version) in enumerate(zip(rows.vectors, rows.versions, strict=True))
        if vector is not None and version == encoder and len(vector) == width
    ]
    if comparable:
        vectors = _stacked([rows.vectors[place] or b"" for place in comparable])
        kind[comparable] = kinds.assign(unit(vectors))
    return table_of(rows.values, kind, rows.steps)


def _stacked(vectors: list[bytes]) -> Vectors:
    """(n, dimension) float32 of those that are as wide as the first."""
    alike = [vector for vector in vectors if len(vector) == len(vectors[0])]
    if not alike:
        return np.zeros((0, 0), dtype=np.float32)
    return np.frombuffer(b"".join(alike), dtype="<f4").reshape(len(alike), -1).astype(np.float32, copy=False)

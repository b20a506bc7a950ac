"""Draws tasks evenly from wherever they lie, part by part, in one pass and little memory. Called by ``sources``.

A task's number is hashed, and the smallest hashes are the sample (bottom-k sampling, Cohen & Kaplan, Summarizing data
using bottom-k sketches, PODC 2007): every task has the same chance, whichever part is offered first, and the same tasks
are drawn again after they moved from one tier to the other.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Drawn = tuple[bytes, str | None]
"""A task's vector (float32) and who encoded it."""
Read = Callable[[Sequence[int]], Sequence[tuple[bytes | None, str | None] | None]]
"""The vectors of tasks by number, with who encoded them; None for a task, or a vector, that is not there."""


class Draw:
    """At most ``count`` tasks with a vector, of all that are offered."""

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self._seed = seed
        self._held: dict[int, tuple[int, Drawn]] = {}  # by number: its hash, and what was read
        self._limit = np.uint64(2**64 - 1)

    def offer(self, seqs: NDArray[np.int64], read: Read) -> None:
        """Some tasks by number, each once; only those that may be drawn are read."""
        hashes = _hashed(seqs, self._seed)
        order = np.argsort(hashes, kind="stable")[: self._count]
        order = order[hashes[order] <= self._limit]
        wanted = [int(seq) for seq in seqs[order]]
        for seq, of_it, found in zip(wanted, hashes[order].tolist(), read(wanted), strict=True):
            if found is not None and found[0] is not None:
                self._held[seq] = (of_it, (found[0], found[1]))
        if len(self._held) > self._count:
            kept = sorted(self._held.items(), key=lambda item: item[1][0])[: self._count]
            self._held = dict(kept)
            self._limit = np.uint64(kept[-1][1][0])

    def taken(self) -> list[Drawn]:
        """What was drawn, in order of number."""
        return [drawn for _, (_, drawn) in sorted(self._held.items())]


def _hashed(seqs: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """SplitMix64 (Steele, Lea & Flood, Fast splittable pseudorandom number generators, OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        state = seqs.astype(np.uint64) + np.uint64(seed + 1) * np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return state ^ (state >> np.uint64(31))

"""How long calls take, on the clock and in CPU time, and what memory holds. Called by ``index_bench``."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one call through the port, in ms."""

    p50: float
    p99: float
    cpu_p50: float
    cpu_p99: float
    """CPU time of all threads during a call: what to trust when the machine is busy."""


class Watch:
    """Times calls: on the clock, and in CPU time."""

    def __init__(self) -> None:
        self._taken: list[tuple[float, float]] = []

    @contextmanager
    def call(self) -> Iterator[None]:
        """Times what happens within."""
        started, cpu = time.perf_counter(), time.process_time()
        yield
        self._taken.append((time.perf_counter() - started, time.process_time() - cpu))

    def latency(self) -> Latency:
        """Of all calls so far."""
        wall, cpu = (1e3 * np.array(column) for column in zip(*self._taken, strict=True))
        return Latency(*(float(np.percentile(column, share)) for column in (wall, cpu) for share in (50, 99)))


def rss_mb() -> tuple[float, float]:
    """Resident memory of this process, vectors of the measurement included; and what of it are pages of files.

    The system takes those back when it needs memory; 0 where it does not tell them apart.
    """
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 0.0
    resident, of_files = (int(pages) * resource.getpagesize() / 1e6 for pages in statm.read_text().split()[1:3])
    return resident, of_files

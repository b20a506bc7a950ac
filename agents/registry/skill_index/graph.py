"""A process of its own that builds the graph of a large index: ``python -m agents.registry.skill_index.graph``.

Started by the edge index with one line of JSON on standard input. The engine holds the interpreter while it builds
(22 s of CPU at 100,000 points), which would freeze a worker even from a thread. It leaves a folder to be loaded.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

from agents.registry.skill_index.log import latest, read_records
from agents.registry.skill_index.scan import widen
from agents.registry.skill_index.shard import Shard

_PR_SET_PDEATHSIG = 1


def build(log: Path, end: int, folder: Path, dimension: int) -> None:
    """The shard of all records of the log before ``end``, with its graph, in ``folder``."""
    shard = Shard.create(folder, dimension)
    shard.index_payload()
    for one in latest(lambda: read_records(log, dimension, end=end)):
        shard.write(one.points, dead=False, mark=one.mark)
    points = shard.optimize()
    shard.close()
    widen(folder, points)


def _die_with_parent() -> None:
    """An orphan would build for minutes for nobody, and could not be asked to stop."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def main() -> None:
    """Read the order, build, end."""
    _die_with_parent()
    order = json.loads(sys.stdin.readline())
    os.nice(order["nice"])
    build(Path(order["log"]), order["end"], Path(order["folder"]), order["dimension"])


if __name__ == "__main__":
    main()

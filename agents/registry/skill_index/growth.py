"""When a growing index gets a new graph, and the process that builds it. Called by the edge index."""

import asyncio
import json
import sys
from pathlib import Path

GRAPH_POINTS = 10_000
"""Compared one by one, so many points cost 0.9 ms of a search; their graph costs a second of another process."""

UNGRAPHED_MOST = 20_000
QUIET_S = 1.0
"""A fleet that is being filled is given its graph when it is full, or when it has doubled, not all the time."""

RETRY_S = 60.0

NICE = 5
"""Tasks come first: on a busy machine the graph gets a third of their share, and is late."""


class GraphNotBuilt(Exception):
    """The process ended without a graph."""


def is_due(ungraphed: int, graphed: int, quiet_s: float, graph_points: int = GRAPH_POINTS) -> bool:
    """Whether the points outside the graph, ``ungraphed``, make it worth building another, now."""
    few = max(graph_points, min(graphed // 10, UNGRAPHED_MOST))
    return ungraphed >= few and (quiet_s >= QUIET_S or ungraphed >= max(4 * few, graphed))


async def build_elsewhere(log: Path, end: int, folder: Path, dimension: int, nice: int = NICE) -> None:
    """Have a process build the graph of the log up to ``end`` in ``folder``. Raises GraphNotBuilt."""
    told = {"log": str(log), "end": end, "folder": str(folder), "dimension": dimension, "nice": nice}
    order = json.dumps(told).encode() + b"\n"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "agents.registry.skill_index.graph",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        _, said = await child.communicate(order)
    finally:
        if child.returncode is None:
            child.kill()
            await asyncio.shield(child.wait())
    if child.returncode != 0:
        last = said.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        raise GraphNotBuilt(f"it ended with {child.returncode}: {last[0]}")

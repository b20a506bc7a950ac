"""The skill index inside this process: Qdrant's own engine (qdrant-edge). Called by the fleet and by matching."""

import asyncio
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import qdrant_edge as edge

from agents.ports import IndexFilter, SkillHit, SkillPoint
from agents.registry.skill_points import KEYWORDS, best_first, checked, hit_of, payload_of, point_id
from tensor_layer.ports import Vector

INLINE_SEARCH_POINTS = 4_000
"""Measured with a tenant filter, 384-d: 0.11 ms at 50 points, 0.15 at 1,000, 0.9 at 10,000. A hop to a thread costs
0.1 ms and far more under load, so a small index is searched where it is asked and a large one in a thread."""

INLINE_WRITE_POINTS = 8
"""An upsert costs 0.07 ms a point: more than these go to a thread."""

WRITE_CHUNK = 32
"""Points converted while holding the interpreter, so that even a thread never holds it for more than 2 ms."""


class EdgeSkillIndex:
    """ports.SkillIndex on one shard in a folder of its own. Safe for concurrent use within one event loop.

    Searched exactly, without a graph: ``optimize()`` of qdrant-edge 0.9.0 holds the interpreter lock until it ends
    (65 s at 60,000 points, measured), which would freeze the worker even from a thread. Exact search costs about
    0.13 ms a thousand points and releases the lock. Fleets far past 20,000 skills belong on a Qdrant server.
    """

    def __init__(self, shard: edge.EdgeShard, folder: Path, dimension: int) -> None:
        self._shard = shard
        self._folder = folder
        self._dimension = dimension
        # Counting inside the engine visits every point: a replacement would cost more the larger the index is.
        self._owned: dict[tuple[str, str], frozenset[str]] = {}
        self._points = 0
        self._writing = asyncio.Lock()

    @classmethod
    async def open(cls, parent: Path | None = None, dimension: int = 384) -> "EdgeSkillIndex":
        """A fresh index in a folder of its own below ``parent`` (or the system's temporary folder).

        What an earlier process left there is of no use: the index is derived, and filled again by the fleet.
        """
        return await asyncio.to_thread(cls._open, parent, dimension)

    @classmethod
    def _open(cls, parent: Path | None, dimension: int) -> "EdgeSkillIndex":
        if parent is not None:
            parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="aos-skills-", dir=parent))
        config = edge.EdgeConfig(
            vectors=edge.EdgeVectorParams(size=dimension, distance=edge.Distance.Cosine),
            wal_enabled=False,  # derived data: rebuilt, never recovered
            max_search_threads=1,
        )
        shard = edge.EdgeShard.create(str(folder), config)
        for field in KEYWORDS:
            keyword = edge.KeywordIndexParams(is_tenant=True if field == "tenant" else None)
            shard.update(edge.UpdateOperation.create_field_index(field, keyword))
        return cls(shard, folder, dimension)

    async def replace(self, tenant: str, agent_id: str, points: Sequence[SkillPoint]) -> None:
        """Make these the agent's only points; a search meanwhile sees the old, the new or both, never neither."""
        for point in points:
            checked(point.vector, self._dimension)
        async with self._writing:
            if len(points) <= INLINE_WRITE_POINTS:
                self._replace(tenant, agent_id, points)
            else:
                await asyncio.to_thread(self._replace, tenant, agent_id, points)

    async def search(self, vector: Vector, where: IndexFilter, limit: int) -> list[SkillHit]:
        """The nearest skills, best first; equal ones in the order of agent and skill id."""
        if where.agents is not None and not where.agents:
            return []
        request = edge.SearchRequest(
            query=edge.Query.Nearest(checked(vector, self._dimension).tolist()),
            limit=limit,
            filter=_condition(where),
            with_payload=True,
        )
        if self._points <= INLINE_SEARCH_POINTS:
            return self._search(request)
        return await asyncio.to_thread(self._search, request)

    async def count(self) -> int:
        """How many points the index holds."""
        return self._points

    async def close(self) -> None:
        """Release memory and delete the files."""
        async with self._writing:
            await asyncio.to_thread(self._close)

    def _replace(self, tenant: str, agent_id: str, points: Sequence[SkillPoint]) -> None:
        for start in range(0, len(points), WRITE_CHUNK):
            stored = [
                edge.Point(id=point_id(p), vector=p.vector.tolist(), payload=payload_of(p))
                for p in points[start : start + WRITE_CHUNK]
            ]
            self._shard.update(edge.UpdateOperation.upsert_points(stored))
        owned = frozenset(point_id(p) for p in points)
        before = self._owned.pop((tenant, agent_id), frozenset())
        if before - owned:
            self._shard.update(edge.UpdateOperation.delete_points(sorted(before - owned)))
        if owned:
            self._owned[tenant, agent_id] = owned
        self._points += len(owned) - len(before)

    def _search(self, request: edge.SearchRequest) -> list[SkillHit]:
        return best_first(hit_of(found.payload or {}, found.score) for found in self._shard.search(request))

    def _close(self) -> None:
        self._shard.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _equals(field: str, value: str) -> edge.FieldCondition:
    return edge.FieldCondition(key=field, match=edge.MatchValue(value))


def _condition(where: IndexFilter) -> edge.Filter:
    must: list[edge.ConditionType] = [_equals("tenant", where.tenant)]
    must += [_equals("tags", tag) for tag in sorted(where.tags)]
    if where.agents is not None:
        must.append(_any_of("agent", where.agents))
    without: list[edge.ConditionType] = [_any_of("agent", where.without_agents)] if where.without_agents else []
    return edge.Filter(must=must, must_not=without)


def _any_of(field: str, values: frozenset[str]) -> edge.FieldCondition:
    return edge.FieldCondition(key=field, match=edge.MatchAny(sorted(values)))

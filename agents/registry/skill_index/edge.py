"""The skill index inside this process: Qdrant's own engine (qdrant-edge). Called by the fleet and by matching."""

import asyncio
import itertools
import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from agents.ports.skill_index import IndexFilter, SkillHit, SkillPoint, WordQuery
from agents.registry.skill_index.asking import Question, is_enough
from agents.registry.skill_index.growth import GRAPH_POINTS, NICE, RETRY_S, GraphNotBuilt, build_elsewhere, is_due
from agents.registry.skill_index.home import Home
from agents.registry.skill_index.log import Replacement, SkillLog, latest
from agents.registry.skill_index.points import Gathered, checked, id_of
from agents.registry.skill_index.readers import Readers
from agents.registry.skill_index.shard import Shard
from tensor_layer.ports import Vector

logger = logging.getLogger(__name__)

AgentKey = tuple[str, str]

INLINE_SEARCH_POINTS = 4_000
"""Points outside the graph. Measured with a tenant filter, 384-d: 0.11 ms at 50 points, 0.15 at 1,000, 0.9 at 10,000;
0.2 ms for a graph of 20,000. A hop to a thread costs 0.1 ms and far more under load, so a search that compares few
points is done where it is asked and a longer one in a thread."""

INLINE_POINTS = 100_000
"""Points in all: of more than these a search takes 1 to 20 ms, which nobody else should have to wait for."""

INLINE_WRITE_POINTS = 8
"""An upsert costs 0.07 ms a point: more than these go to a thread."""

INDEXED_POINTS = 64
"""A filter by a field without an index costs 5 µs a point: fewer points than these are no reason to write its files."""

LOOK_EVERY_S = 0.5


class EdgeSkillIndex:
    """ports.SkillIndex on one shard in a folder of its own. Safe for concurrent use within one event loop.

    New points are compared one by one (0.1 ms a thousand). Once there are ``graph_points`` of them, another process
    builds a graph over all points while this one goes on; then the shard with the graph takes the old one's place,
    changed by what was written meanwhile.
    """

    def __init__(
        self, home: Home, log: SkillLog, shard: Shard, graphed: int, dimension: int, graph_points: int
    ) -> None:
        self._home = home
        self._log = log
        self._shard = shard
        self._dimension = dimension
        self._graph_points = graph_points
        self._graph_nice = NICE
        self._graph_numbers = itertools.count()
        # Counting inside the engine visits every point: a replacement would cost more the larger the index is.
        self._owned: dict[AgentKey, tuple[str, ...]] = {}
        self._marks: dict[AgentKey, str] = {}
        self._dead: set[AgentKey] = set()
        self._points = 0
        self._lone = True
        self._indexed = shard.is_indexed
        self._graphed = graphed
        self._written_since = 0
        self._written_at = 0.0
        self._readers = Readers()
        self._writing = asyncio.Lock()
        self._keeping: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        parent: Path | None = None,
        dimension: int = 384,
        *,
        encoder: str | None = None,
        graph_points: int = GRAPH_POINTS,
        graph_nice: int = NICE,
    ) -> "EdgeSkillIndex":
        """The index below ``parent``, with the agents that an earlier process left there by the same ``encoder``.

        Without ``encoder``, a fresh one that is deleted when it is closed. ``graph_points``: so many points without a
        graph are too many. ``graph_nice``: how much the process that builds it gives way.
        """
        index = await asyncio.to_thread(cls._open, parent, dimension, encoder, graph_points)
        index._graph_nice = graph_nice
        index._keeping = asyncio.create_task(index._keep_graph(), name="skill index graph")
        return index

    @classmethod
    def _open(cls, parent: Path | None, dimension: int, encoder: str | None, graph_points: int) -> "EdgeSkillIndex":
        home = Home.take(parent, kept=encoder is not None)
        log = home.open_log(encoder or "", dimension)
        shard, graphed = home.open_shard(log, dimension)
        index = cls(home, log, shard, graphed, dimension, graph_points)
        for one in latest(log.read):
            index._take_note(one)
        index._written_since = max(0, index._points - graphed)
        return index

    async def replace(self, tenant: str, agent_id: str, points: Sequence[SkillPoint], mark: str = "") -> None:
        """Make these the agent's only points; a search meanwhile sees the old, the new or both, never neither."""
        for point in points:
            checked(point.vector, self._dimension)
        one = Replacement(tenant, agent_id, tuple(points), mark)
        async with self._writing:
            if len(points) <= INLINE_WRITE_POINTS and (self._indexed or self._points < INDEXED_POINTS):
                self._replace(one)
            else:
                await asyncio.to_thread(self._replace, one)

    async def marks(self) -> dict[AgentKey, str]:
        """The marks of all agents in the index."""
        return dict(self._marks)

    async def note_health(self, tenant: str, agent_id: str, *, dead: bool) -> None:
        """Searches with ``alive_only`` leave dead agents out."""
        key = (tenant, agent_id)
        if dead == (key in self._dead):
            return
        (self._dead.add if dead else self._dead.discard)(key)
        async with self._writing:
            if owned := self._owned.get(key):
                self._shard.set_dead(owned, dead=key in self._dead)

    async def search(
        self, vector: Vector, where: IndexFilter, limit: int, words: WordQuery | None = None
    ) -> list[SkillHit]:
        """The nearest skills, best first; equal ones in the order of agent and skill id."""
        question = Question.of(vector, where, limit, words, self._dimension)
        if question.nobody:
            return []
        with self._readers.of(self._shard) as shard:
            if self._written_since <= INLINE_SEARCH_POINTS and self._points <= INLINE_POINTS:
                return self._search(shard, question)
            return await asyncio.to_thread(self._search, shard, question)

    async def count(self) -> int:
        """How many points the index holds."""
        return self._points

    @property
    def graphed(self) -> int:
        """How many points the graph was built over; 0 while there is none."""
        return self._graphed

    async def close(self) -> None:
        """Release memory; leave the files to the next process, or delete them when there was no ``encoder``."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
        async with self._writing:
            await self._readers.left(self._shard)
            await asyncio.to_thread(self._home.leave, self._log, self._shard, self._graphed)

    def _replace(self, one: Replacement) -> None:
        if not self._indexed and self._points >= INDEXED_POINTS:
            self._shard.index_payload()
            self._indexed = True
        key = (one.tenant, one.agent_id)
        self._log.append(one)
        before = frozenset(self._owned.get(key, ()))
        self._shard.write(one.points, dead=key in self._dead, mark=one.mark)
        if gone := before.difference(map(id_of, one.points)):
            self._shard.delete(sorted(gone))
        self._take_note(one)
        self._written_since += len(one.points)
        self._written_at = time.monotonic()

    def _take_note(self, one: Replacement) -> None:
        key = (one.tenant, one.agent_id)
        owned = tuple(sorted({id_of(point) for point in one.points}))
        self._points += len(owned) - len(self._owned.pop(key, ()))
        self._lone = self._lone and all(point.example is None for point in one.points)
        self._marks.pop(key, None)
        if owned:
            self._owned[key], self._marks[key] = owned, one.mark

    def _search(self, shard: Shard, question: Question) -> list[SkillHit]:
        gathered = Gathered()
        points = question.first_points(lone=self._lone)
        while True:
            near = shard.nearest(question.vector, question.where, points)
            gathered.near(near)
            if is_enough(gathered, question.limit, len(near), points):
                break
            points *= 4
        if question.by_words:
            gathered.worded(shard.worded(question.words, question.where, question.limit))
        if ids := gathered.unseen():
            gathered.near(shard.cosines(question.vector, ids))
        if question.by_words and (ids := gathered.unworded()):
            gathered.worded(shard.scores(question.words, ids))
        return question.hits(gathered, self._points)

    async def _keep_graph(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            quiet_s = time.monotonic() - self._written_at
            try:
                if is_due(self._written_since, self._graphed, quiet_s, self._graph_points):
                    await self._grow_graph()
                if self._log.is_mostly_past(len(self._owned)):
                    await self._shorten_log()
            except (GraphNotBuilt, OSError) as error:
                logger.warning("the skill index goes on with the graph and the log it has for %s s: %s", RETRY_S, error)
                await asyncio.sleep(RETRY_S)

    async def _grow_graph(self) -> None:
        folder = self._home.folder / f"graph-{next(self._graph_numbers)}"
        end, points, written = self._log.end, self._points, self._written_since
        started = time.monotonic()
        await build_elsewhere(self._log.path, end, folder, self._dimension, self._graph_nice)
        grown = await asyncio.to_thread(Shard.load, folder)
        caught_up = await asyncio.to_thread(self._catch_up, grown, end)
        async with self._writing:
            await asyncio.to_thread(self._catch_up, grown, caught_up)
            for key in self._dead & self._owned.keys():
                grown.set_dead(self._owned[key], dead=True)
            old, self._shard, self._indexed = self._shard, grown, True
            self._graphed = points
            self._written_since -= written
        logger.info("the skill index has a graph of %d skills after %.1f s", points, time.monotonic() - started)
        await self._readers.left(old)
        await asyncio.to_thread(_discard, old)

    async def _shorten_log(self) -> None:
        async with self._writing:
            rewriting = asyncio.ensure_future(asyncio.to_thread(self._log.rewrite, latest(self._log.read)))
            try:
                await asyncio.shield(rewriting)
            finally:  # whoever closes the index waits for it
                await asyncio.wait([rewriting])

    def _catch_up(self, grown: Shard, start: int) -> int:
        """Write what came since ``start``; where the log ends now."""
        end = self._log.end
        for one in self._log.read(start, end):
            grown.replace(one, dead=False)
        return end


def _discard(shard: Shard) -> None:
    shard.close()
    shutil.rmtree(shard.folder, ignore_errors=True)

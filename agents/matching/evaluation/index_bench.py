"""How fast and how exact the skill index is at a size. Called by ``aos bench index`` with skills of ``index_made``."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from agents.matching.evaluation.index_exact import Rows, nearest
from agents.matching.evaluation.index_made import (
    DIMENSION,
    EVERYONE,
    NARROWINGS,
    SKILLS_PER_AGENT,
    TENANT,
    Made,
    Narrowing,
    points_of,
    unit,
)
from agents.matching.evaluation.index_watch import Latency, Watch, rss_mb
from agents.ports.skill_index import IndexFilter, SkillIndex, SkillPoint, WordQuery
from agents.registry.skill_index.growth import GRAPH_POINTS
from schemas.parts import Modality

Tell = Callable[[int, int], None]

FOUND = 10
MARK = "made"
GRAPH_WAIT_S = 3_600.0
SEARCHES_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Filtered:
    """Searches among the ``share`` of skills that meet a filter. Recall is None where none does."""

    share: float
    recall_at_10: float | None
    ms: Latency


@dataclass(frozen=True, slots=True)
class IndexFigures:
    """What was measured. ``recall_at_10`` is the share of the exact ten nearest that were found."""

    skills: int
    engine: str
    seed: int
    recall_at_10: float | None
    latency_ms: Latency
    hybrid_ms: Latency
    filters: dict[str, Filtered]
    """By the name of the filter, wide ones first."""
    replace_ms: Latency
    changed_found_ms: float
    """The longest from the change of a card to finding it."""
    fill_s: float
    graph_s: float
    build_s: float
    rss_mb: float
    mapped_mb: float
    """Of ``rss_mb``: pages of the index's files, which the system takes back when it needs memory."""
    notes: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, object]:
        """As printed."""
        return asdict(self)


async def measure(
    made: Made, seed: int, index: SkillIndex, engine: str, graphed: Callable[[], int] | None, tell: Tell
) -> IndexFigures:
    """Fill the index, wait for its graph when it builds one (``graphed`` says of how many points), and ask."""
    skills = len(made.vectors)
    fill_s, graph_s, notes = await _built(index, made, graphed, tell)
    asked = {"": EVERYONE, **NARROWINGS}
    allowed = [narrowing.allowed(skills) for narrowing in asked.values()]
    exact = dict(zip(asked, nearest(made.vectors, made.questions, allowed, FOUND), strict=True))
    recall = await _recall(index, made, EVERYONE, exact.pop(""))
    plain = await _timed(index, made, EVERYONE, worded=False)
    hybrid = await _timed(index, made, EVERYONE, worded=True)
    filters = {name: await _filtered(index, made, NARROWINGS[name], rows) for name, rows in exact.items()}
    replace_ms, slowest_ms = await _changes(index, made, seed)
    resident_mb, mapped_mb = rss_mb()
    return IndexFigures(
        skills=skills,
        engine=engine,
        seed=seed,
        recall_at_10=recall,
        latency_ms=plain,
        hybrid_ms=hybrid,
        filters=filters,
        replace_ms=replace_ms,
        changed_found_ms=slowest_ms,
        fill_s=fill_s,
        graph_s=graph_s,
        build_s=fill_s + graph_s,
        rss_mb=resident_mb,
        mapped_mb=mapped_mb,
        notes=notes,
    )


async def _built(
    index: SkillIndex, made: Made, graphed: Callable[[], int] | None, tell: Tell
) -> tuple[float, float, tuple[str, ...]]:
    """Seconds to fill it, seconds until its graph was there, and what a reader of those should know."""
    started = time.perf_counter()
    there = await _fill(index, made, tell)
    filled = time.perf_counter()
    notes = await _await_graph(graphed, len(made.vectors))
    if there:
        notes = (*notes, f"{there} agents were left by an earlier run: fill_s, graph_s and build_s are without them")
    return filled - started, time.perf_counter() - filled, notes


async def _fill(index: SkillIndex, made: Made, tell: Tell) -> int:
    """Write the agents that no earlier run left here; how many one did."""
    total = len(made.vectors)
    there = await index.marks()
    for start in range(0, total, SKILLS_PER_AGENT):
        agent = start // SKILLS_PER_AGENT
        if (TENANT, f"a{agent}") not in there:
            await index.replace(TENANT, f"a{agent}", points_of(made, agent), MARK)
        if agent % 200 == 0:
            tell(start, total)
            await asyncio.sleep(0)
    tell(total, total)
    return len(there)


async def _await_graph(graphed: Callable[[], int] | None, skills: int) -> tuple[str, ...]:
    """Until nearly all points are in the graph. Small indexes have none and need none."""
    if graphed is None:
        return ("qdrant-client's local mode compares every vector in Python; it stands in for the server's API only",)
    if skills < GRAPH_POINTS:
        return (f"no graph: it is built from {GRAPH_POINTS} points on",)
    waited = time.perf_counter()
    while graphed() < skills:
        await asyncio.sleep(0.1)
        if time.perf_counter() - waited > GRAPH_WAIT_S:
            return (f"the graph was not there after {GRAPH_WAIT_S:.0f} s: it holds {graphed()} points",)
    return ()


async def _recall(index: SkillIndex, made: Made, narrowing: Narrowing, exact: Rows) -> float | None:
    """``exact`` are the numbers of each question's nearest skills; None without any."""
    found = 0
    for question, rows in zip(made.questions, exact, strict=True):
        hits = await index.search(question, narrowing.where, FOUND)
        found += len({hit.skill_id for hit in hits} & {f"s{n}" for n in rows})
    return found / exact.size if exact.size else None


async def _filtered(index: SkillIndex, made: Made, narrowing: Narrowing, exact: Rows) -> Filtered:
    recall = await _recall(index, made, narrowing, exact)
    share = float(narrowing.allowed(len(made.vectors)).mean())
    return Filtered(share, recall, await _timed(index, made, narrowing, worded=False))


async def _timed(index: SkillIndex, made: Made, narrowing: Narrowing, *, worded: bool) -> Latency:
    watch = Watch()
    for question, text in zip(made.questions, made.asked, strict=True):
        words = WordQuery(text) if worded else None
        with watch.call():
            await index.search(question, narrowing.where, FOUND, words)
    return watch.latency()


async def _changes(index: SkillIndex, made: Made, seed: int) -> tuple[Latency, float]:
    """Cards that change: how long a replacement takes, and the longest until a search finds what changed."""
    chance = np.random.default_rng((seed, 2))
    watch, finding = Watch(), []
    for turn in range(50):
        agent = int(chance.integers(0, max(1, len(made.vectors) // SKILLS_PER_AGENT)))
        vector = unit(chance.standard_normal((1, DIMENSION), dtype=np.float32))[0]
        point = SkillPoint(TENANT, f"a{agent}", f"changed{turn}", vector, frozenset({Modality.TEXT}))
        started = time.perf_counter()
        with watch.call():
            await index.replace(TENANT, f"a{agent}", [point])
        for _ in range(SEARCHES_MOST):
            if (await index.search(vector, IndexFilter(TENANT), 1))[0].skill_id == point.skill_id:
                break
        else:
            raise RuntimeError(f"{point.skill_id} of {point.agent_id} was not found in {SEARCHES_MOST} searches")
        finding.append(time.perf_counter() - started)
        await index.replace(TENANT, f"a{agent}", points_of(made, agent), MARK)
    return watch.latency(), 1e3 * max(finding)


@asynccontextmanager
async def opened(
    engine: str, folder: Path, skills: int, kept: str | None = None
) -> AsyncIterator[tuple[SkillIndex, Callable[[], int] | None]]:
    """The index by the name of its engine, and how many points its graph holds.

    ``kept`` names the skills: an index of that name is taken over from ``folder`` and left there. Only edge can.
    """
    index: SkillIndex
    graphed: Callable[[], int] | None = None
    if engine == "edge":
        from agents.registry.skill_index.edge import EdgeSkillIndex

        # One graph, once all skills are there, and at the speed of the machine.
        points = max(GRAPH_POINTS, skills)
        embedded = await EdgeSkillIndex.open(folder, DIMENSION, encoder=kept, graph_points=points, graph_nice=0)
        index, graphed = embedded, lambda: embedded.graphed
    else:
        from qdrant_client import AsyncQdrantClient

        from agents.registry.skill_index.client import ClientSkillIndex

        index = await ClientSkillIndex.over(AsyncQdrantClient(":memory:"), dimension=DIMENSION)
    try:
        yield index, graphed
    finally:
        await index.close()

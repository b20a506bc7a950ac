"""How fast and how exact the skill index is at a size. Called by ``aos bench index`` with skills of ``index_made``."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.matching.evaluation.index_made import DIMENSION, SKILLS_PER_AGENT, TENANT, Made, points_of, unit
from agents.ports import IndexFilter, SkillIndex, SkillPoint, WordQuery
from agents.registry.skill_index_growth import GRAPH_POINTS
from schemas.parts import Modality

Tell = Callable[[int, int], None]

FOUND = 10
GRAPH_WAIT_S = 3_600.0
SEARCHES_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one call through the port, in ms."""

    p50: float
    p99: float
    cpu_p50: float
    cpu_p99: float
    """CPU time of all threads during a call: what to trust when the machine is busy."""


@dataclass(frozen=True, slots=True)
class IndexFigures:
    """What was measured. ``recall_at_10`` is the share of the exact ten nearest that were found."""

    skills: int
    engine: str
    seed: int
    recall_at_10: float
    filtered_recall_at_10: float
    """The same among the twentieth that has a tag and costs little enough."""
    latency_ms: Latency
    hybrid_ms: Latency
    filtered_ms: Latency
    replace_ms: Latency
    changed_found_ms: float
    """The longest from the change of a card to finding it."""
    fill_s: float
    graph_s: float
    build_s: float
    rss_mb: float
    notes: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, object]:
        """As printed."""
        return asdict(self)


async def measure(
    made: Made, seed: int, index: SkillIndex, engine: str, graphed: Callable[[], int] | None, tell: Tell
) -> IndexFigures:
    """Fill the index, wait for its graph when it builds one (``graphed`` says of how many points), and ask."""
    skills = len(made.vectors)
    started = time.perf_counter()
    await _fill(index, made, tell)
    filled = time.perf_counter()
    notes = await _await_graph(graphed, skills)
    built = time.perf_counter()
    everyone, tagged = IndexFilter(TENANT), IndexFilter(TENANT, tags=frozenset({"t7"}), alive_only=True, cost_max=0.5)
    recall = await _recall(index, made, everyone, np.arange(skills))
    agents = np.arange(skills) // SKILLS_PER_AGENT
    filtered_recall = await _recall(index, made, tagged, np.flatnonzero((agents % 10 == 7) & (agents % 100 <= 50)))
    plain = await _timed(index, made, everyone, worded=False)
    hybrid = await _timed(index, made, everyone, worded=True)
    filtered = await _timed(index, made, tagged, worded=False)
    replace_ms, slowest_ms = await _changes(index, made, seed)
    return IndexFigures(
        skills=skills,
        engine=engine,
        seed=seed,
        recall_at_10=recall,
        filtered_recall_at_10=filtered_recall,
        latency_ms=plain,
        hybrid_ms=hybrid,
        filtered_ms=filtered,
        replace_ms=replace_ms,
        changed_found_ms=slowest_ms,
        fill_s=filled - started,
        graph_s=built - filled,
        build_s=built - started,
        rss_mb=_rss_mb(),
        notes=notes,
    )


async def _fill(index: SkillIndex, made: Made, tell: Tell) -> None:
    total = len(made.vectors)
    for start in range(0, total, SKILLS_PER_AGENT):
        agent = start // SKILLS_PER_AGENT
        await index.replace(TENANT, f"a{agent}", points_of(made, agent))
        if agent % 200 == 0:
            tell(start, total)
            await asyncio.sleep(0)
    tell(total, total)


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


async def _recall(index: SkillIndex, made: Made, where: IndexFilter, allowed: NDArray[np.intp]) -> float:
    """``allowed`` are the skills that meet ``where``."""
    vectors = made.vectors if len(allowed) == len(made.vectors) else made.vectors[allowed]
    wanted = min(FOUND, len(allowed))
    found = 0
    for question in made.questions:
        exact = allowed[np.argpartition(-(vectors @ question), wanted - 1)[:wanted]]
        hits = await index.search(question, where, FOUND)
        found += len({hit.skill_id for hit in hits} & {f"s{n}" for n in exact})
    return found / max(1, len(made.questions) * wanted)


async def _timed(index: SkillIndex, made: Made, where: IndexFilter, *, worded: bool) -> Latency:
    watch = _Watch()
    for question, text in zip(made.questions, made.asked, strict=True):
        words = WordQuery(text) if worded else None
        with watch.call():
            await index.search(question, where, FOUND, words)
    return watch.latency()


async def _changes(index: SkillIndex, made: Made, seed: int) -> tuple[Latency, float]:
    """Cards that change: how long a replacement takes, and the longest until a search finds what changed."""
    chance = np.random.default_rng((seed, 2))
    watch, finding = _Watch(), []
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
    return watch.latency(), 1e3 * max(finding)


@asynccontextmanager
async def opened(engine: str, folder: Path, skills: int) -> AsyncIterator[tuple[SkillIndex, Callable[[], int] | None]]:
    """The index by the name of its engine, and how many points its graph holds."""
    index: SkillIndex
    graphed: Callable[[], int] | None = None
    if engine == "edge":
        from agents.registry.skill_index_edge import EdgeSkillIndex

        # One graph, once all skills are there, and at the speed of the machine.
        points = max(GRAPH_POINTS, skills)
        embedded = await EdgeSkillIndex.open(folder, DIMENSION, graph_points=points, graph_nice=0)
        index, graphed = embedded, lambda: embedded.graphed
    else:
        from qdrant_client import AsyncQdrantClient

        from agents.registry.skill_index_client import ClientSkillIndex

        index = await ClientSkillIndex.over(AsyncQdrantClient(":memory:"), dimension=DIMENSION)
    try:
        yield index, graphed
    finally:
        await index.close()


class _Watch:
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


def _rss_mb() -> float:
    """Resident memory of this process, vectors of the measurement included."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return int(statm.read_text().split()[1]) * resource.getpagesize() / 1e6

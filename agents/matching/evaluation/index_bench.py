"""How fast and how exact the skill index is at a size. Called by ``aos bench index``.

The skills are made up: unit vectors in clusters of about 50, as cards of alike agents lie, with a few strong shared
directions and noise; words drawn as in texts, a few often and most seldom. Questions are skills, blurred.
"""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agents.ports import IndexFilter, SkillIndex, SkillPoint, WordQuery
from agents.registry.skill_index_growth import GRAPH_POINTS
from schemas.parts import Modality
from tensor_layer.ports import Vector

Tell = Callable[[int, int], None]

DIMENSION = 384
CLUSTER_SKILLS = 50
SHARED_DIRECTIONS = 48
SKILLS_PER_AGENT = 5
WORDS_PER_SKILL, WORDS_PER_QUESTION = 12, 8
VOCABULARY = 200_000
FOUND = 10
TENANT = "bench"
GRAPH_WAIT_S = 3_600.0
SEARCHES_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one call through the port, in ms."""

    p50: float
    p99: float
    cpu: float
    """Mean CPU time of a call: what to trust when the machine is busy."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """``vectors`` (skills, 384) and ``questions`` (count, 384) float32, rows unit-norm; texts beside both."""

    vectors: Vector
    questions: Vector
    words: Callable[[int], str]
    asked: tuple[str, ...]


def make(skills: int, seed: int, questions: int) -> Made:
    """The same skills for the same seed."""
    chance = np.random.default_rng(seed)
    centres = _unit(chance.standard_normal((max(1, skills // CLUSTER_SKILLS), DIMENSION), dtype=np.float32))
    shared = chance.standard_normal((SHARED_DIRECTIONS, DIMENSION), dtype=np.float32)
    shared *= np.float32(0.7 / np.sqrt(DIMENSION * SHARED_DIRECTIONS))
    vectors = centres[chance.integers(0, len(centres), skills)]
    for start in range(0, skills, 100_000):
        part = vectors[start : start + 100_000]
        part += chance.standard_normal((len(part), SHARED_DIRECTIONS), dtype=np.float32) @ shared
        part += _noise(chance, len(part), 0.3)
    blurred = _unit(vectors[chance.integers(0, skills, questions)]) + _noise(chance, questions, 0.5)
    asked = tuple(_text(np.random.default_rng((seed, 1, n)), WORDS_PER_QUESTION) for n in range(questions))
    return Made(
        _unit(vectors), _unit(blurred), lambda n: _text(np.random.default_rng((seed, 0, n)), WORDS_PER_SKILL), asked
    )


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
        await index.replace(TENANT, f"a{agent}", _points(made, agent))
        if agent % 200 == 0:
            tell(start, total)
            await asyncio.sleep(0)
    tell(total, total)


def _points(made: Made, agent: int) -> list[SkillPoint]:
    first = agent * SKILLS_PER_AGENT
    about = {"inputs": frozenset({Modality.TEXT}), "tags": frozenset({f"t{agent % 10}"}), "cost": (agent % 100) / 100}
    return [
        SkillPoint(TENANT, f"a{agent}", f"s{n}", made.vectors[n], words=made.words(n), **about)  # type: ignore[arg-type]
        for n in range(first, min(first + SKILLS_PER_AGENT, len(made.vectors)))
    ]


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
    taken = []
    cpu = time.process_time()
    for question, text in zip(made.questions, made.asked, strict=True):
        words = WordQuery(text) if worded else None
        started = time.perf_counter()
        await index.search(question, where, FOUND, words)
        taken.append(time.perf_counter() - started)
    return _latency(taken, time.process_time() - cpu)


async def _changes(index: SkillIndex, made: Made, seed: int) -> tuple[Latency, float]:
    """Cards that change: how long a replacement takes, and the longest until a search finds what changed."""
    chance = np.random.default_rng((seed, 2))
    writing, finding = [], []
    cpu = time.process_time()
    for turn in range(50):
        agent = int(chance.integers(0, max(1, len(made.vectors) // SKILLS_PER_AGENT)))
        vector = _unit(chance.standard_normal((1, DIMENSION), dtype=np.float32))[0]
        point = SkillPoint(TENANT, f"a{agent}", f"changed{turn}", vector, frozenset({Modality.TEXT}))
        started = time.perf_counter()
        await index.replace(TENANT, f"a{agent}", [point])
        writing.append(time.perf_counter() - started)
        for _ in range(SEARCHES_MOST):
            if (await index.search(vector, IndexFilter(TENANT), 1))[0].skill_id == point.skill_id:
                break
        else:
            raise RuntimeError(f"{point.skill_id} of {point.agent_id} was not found in {SEARCHES_MOST} searches")
        finding.append(time.perf_counter() - started)
    return _latency(writing, time.process_time() - cpu), 1e3 * max(finding)


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


def _unit(rows: Vector) -> Vector:
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _noise(chance: np.random.Generator, rows: int, length: float) -> Vector:
    noise: Vector = chance.standard_normal((rows, DIMENSION), dtype=np.float32)
    noise *= np.float32(length / np.sqrt(DIMENSION))
    return noise


def _text(chance: np.random.Generator, words: int) -> str:
    return " ".join(f"w{number}" for number in chance.zipf(1.3, words) % VOCABULARY)


def _latency(taken: list[float], cpu_s: float) -> Latency:
    return Latency(
        p50=1e3 * float(np.percentile(taken, 50)),
        p99=1e3 * float(np.percentile(taken, 99)),
        cpu=1e3 * cpu_s / len(taken),
    )


def _rss_mb() -> float:
    """Resident memory of this process, vectors of the measurement included."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return int(statm.read_text().split()[1]) * resource.getpagesize() / 1e6

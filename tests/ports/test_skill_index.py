"""One behavioural suite over every adapter of ports.SkillIndex. A Qdrant server joins when AOS_QDRANT_URL names one."""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import AsyncQdrantClient

from agents.errors import IndexUnavailable
from agents.ports import IndexFilter, SkillIndex, SkillPoint
from agents.registry.skill_index_client import ClientSkillIndex
from agents.registry.skill_index_edge import INLINE_SEARCH_POINTS, INLINE_WRITE_POINTS, EdgeSkillIndex
from schemas.parts import Modality
from tensor_layer.ports import Vector

DIMENSION = 8
QDRANT_URL = os.environ.get("AOS_QDRANT_URL")


def direction(*weights: float) -> Vector:
    vector = np.zeros(DIMENSION, dtype=np.float32)
    vector[: len(weights)] = weights
    return vector / np.float32(np.linalg.norm(vector))


EAST, NORTH, UP = direction(1), direction(0, 1), direction(0, 0, 1)


def a_point(
    agent_id: str, skill_id: str, vector: Vector, tenant: str = "default", tags: frozenset[str] = frozenset()
) -> SkillPoint:
    return SkillPoint(tenant, agent_id, skill_id, vector, frozenset({Modality.TEXT}), tags)


ADAPTERS = ["edge", "client-local", *(["client-server"] if QDRANT_URL else [])]


@pytest.fixture(params=ADAPTERS)
async def index(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SkillIndex]:
    opened: SkillIndex
    if request.param == "edge":
        opened = await EdgeSkillIndex.open(tmp_path, dimension=DIMENSION)
    elif request.param == "client-local":
        opened = await ClientSkillIndex.over(AsyncQdrantClient(":memory:"), dimension=DIMENSION)
    else:
        assert QDRANT_URL
        opened = await ClientSkillIndex.connect(QDRANT_URL, collection=f"test_{uuid.uuid4().hex}", dimension=DIMENSION)
    yield opened
    await opened.close()


async def found(index: SkillIndex, vector: Vector, limit: int = 10, **where: object) -> list[tuple[str, str]]:
    hits = await index.search(vector, IndexFilter(**{"tenant": "default", **where}), limit)  # type: ignore[arg-type]
    return [(hit.agent_id, hit.skill_id) for hit in hits]


async def test_the_nearest_skill_comes_first_with_its_cosine(index: SkillIndex):
    await index.replace("default", "a", [a_point("a", "east", EAST), a_point("a", "north", NORTH)])
    await index.replace("default", "b", [a_point("b", "between", direction(1, 1))])
    hits = await index.search(EAST, IndexFilter("default"), 10)
    assert [hit.skill_id for hit in hits] == ["east", "between", "north"]
    assert [hit.similarity for hit in hits] == pytest.approx([1.0, 2**-0.5, 0.0], abs=1e-6)


async def test_what_was_written_is_visible_to_the_next_search(index: SkillIndex):
    for number in range(5):
        await index.replace("default", f"a{number}", [a_point(f"a{number}", "s", EAST)])
        assert (f"a{number}", "s") in await found(index, EAST)
        assert await index.count() == number + 1


async def test_replacing_leaves_only_the_new_points_of_that_agent(index: SkillIndex):
    await index.replace("default", "a", [a_point("a", "old", EAST), a_point("a", "kept", EAST)])
    await index.replace("default", "b", [a_point("b", "other", EAST)])
    await index.replace("default", "a", [a_point("a", "kept", NORTH), a_point("a", "new", UP)])
    assert sorted(await found(index, EAST)) == [("a", "kept"), ("a", "new"), ("b", "other")]
    assert (await found(index, NORTH))[0] == ("a", "kept")
    assert await index.count() == 3


async def test_replacing_by_nothing_removes_the_agent(index: SkillIndex):
    await index.replace("default", "a", [a_point("a", "s", EAST)])
    await index.replace("default", "a", [])
    assert await found(index, EAST) == []
    assert await index.count() == 0
    await index.replace("default", "never-there", [])


async def test_tenants_do_not_see_each_other_even_under_the_same_names(index: SkillIndex):
    await index.replace("default", "a", [a_point("a", "s", EAST)])
    await index.replace("acme", "a", [a_point("a", "s", NORTH, tenant="acme")])
    assert await found(index, EAST, tenant="acme") == [("a", "s")]
    await index.replace("acme", "a", [])
    assert await found(index, EAST) == [("a", "s")]
    assert await found(index, EAST, tenant="acme") == []


async def test_the_limit_counts_after_the_filters(index: SkillIndex):
    for number in range(30):
        await index.replace("default", f"near{number}", [a_point(f"near{number}", "s", EAST)])
    await index.replace("default", "far", [a_point("far", "s", NORTH, tags=frozenset({"gpu"}))])
    assert await found(index, EAST, limit=3, tags=frozenset({"gpu"})) == [("far", "s")]
    assert await found(index, EAST, limit=3, agents=frozenset({"far"})) == [("far", "s")]
    others = frozenset(f"near{number}" for number in range(30))
    assert await found(index, EAST, limit=3, without_agents=others) == [("far", "s")]
    assert len(await found(index, EAST, limit=3)) == 3


async def test_every_tag_asked_for_must_be_there(index: SkillIndex):
    await index.replace("default", "one", [a_point("one", "s", EAST, tags=frozenset({"x"}))])
    await index.replace("default", "two", [a_point("two", "s", EAST, tags=frozenset({"x", "y"}))])
    assert await found(index, EAST, tags=frozenset({"x", "y"})) == [("two", "s")]
    assert await found(index, EAST, tags=frozenset({"z"})) == []


async def test_no_agent_allowed_finds_nothing(index: SkillIndex):
    await index.replace("default", "a", [a_point("a", "s", EAST)])
    assert await found(index, EAST, agents=frozenset()) == []


async def test_equally_near_skills_come_in_the_order_of_their_names(index: SkillIndex):
    for agent_id in ("c", "a", "b"):
        await index.replace("default", agent_id, [a_point(agent_id, "z", EAST), a_point(agent_id, "y", EAST)])
    assert await found(index, EAST) == [(a, s) for a in "abc" for s in "yz"]


@pytest.mark.parametrize(
    "vector",
    [
        np.ones(DIMENSION + 1, np.float32),
        np.ones((1, DIMENSION), np.float32),
        np.ones(DIMENSION, np.float64),
        np.zeros(DIMENSION, np.float32),
        np.full(DIMENSION, np.nan, np.float32),
        np.full(DIMENSION, np.inf, np.float32),
    ],
)
async def test_a_vector_that_cannot_be_compared_is_refused_and_changes_nothing(index: SkillIndex, vector: Vector):
    await index.replace("default", "a", [a_point("a", "s", EAST)])
    with pytest.raises(ValueError, match="skill vector"):
        await index.replace("default", "a", [a_point("a", "s", NORTH), a_point("a", "bad", vector)])
    with pytest.raises(ValueError, match="skill vector"):
        await index.search(vector, IndexFilter("default"), 3)
    assert await found(index, EAST) == [("a", "s")]


async def test_many_writers_and_readers_at_once_leave_the_last_word_of_each(index: SkillIndex):
    async def write(agent: int) -> None:
        for turn in range(5):
            count = INLINE_WRITE_POINTS + 2 if turn % 2 else 2
            await index.replace(
                "default", f"a{agent}", [a_point(f"a{agent}", f"s{n}", direction(1, n)) for n in range(count)]
            )

    async def read() -> None:
        for _ in range(20):
            await index.search(EAST, IndexFilter("default"), 10)
            await asyncio.sleep(0)

    await asyncio.gather(*(write(agent) for agent in range(6)), read(), read())
    assert await index.count() == 12


async def test_a_search_while_an_agent_is_replaced_always_finds_it(index: SkillIndex):
    await index.replace("default", "a", [a_point("a", f"s{n}", EAST) for n in range(40)])
    stop = asyncio.Event()

    async def replace_again_and_again() -> None:
        for turn in range(20):
            await index.replace("default", "a", [a_point("a", f"t{turn}-{n}", EAST) for n in range(40)])
        stop.set()

    writing = asyncio.create_task(replace_again_and_again())
    while not stop.is_set():
        assert await found(index, EAST, limit=1)
        await asyncio.sleep(0)
    await writing


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
async def test_hits_are_those_of_an_exact_comparison(index: SkillIndex, seed: int):
    randomness = np.random.default_rng(seed)
    vectors = randomness.standard_normal((20, DIMENSION)).astype(np.float32)
    tenant = f"t{seed}"
    for number, vector in enumerate(vectors):
        await index.replace(tenant, f"a{number}", [a_point(f"a{number}", "s", vector, tenant=tenant)])
    query = randomness.standard_normal(DIMENSION).astype(np.float32)
    hits = await index.search(query, IndexFilter(tenant), 5)
    cosines = vectors @ query / (np.linalg.norm(vectors, axis=1) * np.linalg.norm(query))
    assert [hit.similarity for hit in hits] == pytest.approx(sorted(cosines, reverse=True)[:5], abs=1e-5)


# What only the embedded engine can show.


async def test_a_large_index_is_searched_in_a_thread_with_the_same_answer(tmp_path: Path):
    index = await EdgeSkillIndex.open(tmp_path, dimension=DIMENSION)
    vectors = np.random.default_rng(1).standard_normal((INLINE_SEARCH_POINTS + 200, DIMENSION)).astype(np.float32)
    for agent in range(0, len(vectors), 200):
        skills = [a_point(f"a{agent}", f"s{n}", vector) for n, vector in enumerate(vectors[agent : agent + 200])]
        await index.replace("default", f"a{agent}", skills)
    assert await index.count() == len(vectors)
    hits = await index.search(vectors[4_100], IndexFilter("default"), 1)
    assert (hits[0].agent_id, hits[0].skill_id) == ("a4000", "s100")
    await index.close()


async def test_two_indexes_share_a_parent_folder_and_leave_nothing_there(tmp_path: Path):
    one = await EdgeSkillIndex.open(tmp_path / "deep" / "index", dimension=DIMENSION)
    two = await EdgeSkillIndex.open(tmp_path / "deep" / "index", dimension=DIMENSION)
    await one.replace("default", "a", [a_point("a", "s", EAST)])
    assert await two.count() == 0
    await one.close()
    await two.close()
    assert list((tmp_path / "deep" / "index").iterdir()) == []


async def test_a_server_that_does_not_answer_is_said_to_be_unavailable(unused_tcp_port: int):
    with pytest.raises(IndexUnavailable):
        await ClientSkillIndex.connect(f"http://127.0.0.1:{unused_tcp_port}", dimension=DIMENSION)

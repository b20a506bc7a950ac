"""The embedded index over time: it grows a graph while it works, and the next process finds what this one left."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from agents.ports.skill_index import IndexFilter, SkillPoint, WordQuery
from agents.registry.skill_index.edge import EdgeSkillIndex
from agents.registry.skill_index.growth import GraphNotBuilt, build_elsewhere, is_due
from schemas.parts import Modality
from tensor_layer.ports import Vector

DIMENSION = 64
AGENTS, SKILLS = 500, 10
MEMORY = Path("/dev/shm")
EVERYBODY = IndexFilter("default")


def vectors_of(agent: int, seed: int = 0) -> Vector:
    rows = np.random.default_rng((seed, agent)).standard_normal((SKILLS, DIMENSION)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def points_of(agent: int, seed: int = 0) -> list[SkillPoint]:
    return [
        SkillPoint("default", f"a{agent}", f"s{n}", vector, frozenset({Modality.TEXT}), words=f"word{agent} text")
        for n, vector in enumerate(vectors_of(agent, seed))
    ]


async def fill(index: EdgeSkillIndex, agents: int) -> None:
    for agent in range(agents):
        await index.replace("default", f"a{agent}", points_of(agent), f"mark {agent}")


async def nearest(index: EdgeSkillIndex, vector: Vector, where: IndexFilter = EVERYBODY) -> tuple[str, str]:
    hit = (await index.search(vector, where, 1))[0]
    return hit.agent_id, hit.skill_id


@asynccontextmanager
async def opened(parent: Path, encoder: str | None = "minilm-1", **more: int) -> AsyncIterator[EdgeSkillIndex]:
    index = await EdgeSkillIndex.open(parent, DIMENSION, encoder=encoder, **more)
    try:
        yield index
    finally:
        await index.close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: the engine syncs each of the 90 files that it makes."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as name:
        yield Path(name)


def homes(folder: Path) -> int:
    return len(list(folder.iterdir()))


def one_file(folder: Path, pattern: str) -> Path:
    [file] = folder.glob(pattern)
    return file


async def becomes(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_graph_grows_in_another_process_while_the_index_is_changed_and_searched(tmp_path: Path):
    async with opened(tmp_path, graph_points=AGENTS * SKILLS) as index:
        await fill(index, AGENTS)
        await becomes(lambda: any(tmp_path.glob("*/graph-*")))
        await index.replace("default", "a1", points_of(1, seed=1))
        await index.replace("default", "a2", [])
        await index.note_health("default", "a3", dead=True)
        changed = vectors_of(1, seed=1)[0]
        assert await nearest(index, changed) == ("a1", "s0"), "found while the graph is built"
        await becomes(lambda: index.graphed > 0)
        assert index.graphed == AGENTS * SKILLS
        assert await index.count() == (AGENTS - 1) * SKILLS
        assert await nearest(index, changed) == ("a1", "s0")
        assert (await nearest(index, vectors_of(2)[0]))[0] != "a2"
        assert await nearest(index, vectors_of(3)[0]) == ("a3", "s0")
        assert (await nearest(index, vectors_of(3)[0], IndexFilter("default", alive_only=True)))[0] != "a3"
        found = [await nearest(index, vectors_of(agent)[4]) for agent in range(100, 200)]
        assert sum(one == (f"a{agent}", "s4") for agent, one in enumerate(found, 100)) >= 98
        worded = await index.search(vectors_of(7)[0], EVERYBODY, SKILLS, WordQuery("word400", weight=1.0))
        assert {hit.agent_id for hit in worded} == {"a400"}
        await becomes(lambda: len(list(tmp_path.glob("*/graph-*"))) == 1)
    async with opened(tmp_path) as index:
        assert index.graphed == AGENTS * SKILLS, "the next process has the graph as well"
        assert await nearest(index, changed) == ("a1", "s0")
        assert await nearest(index, vectors_of(3)[0], IndexFilter("default", alive_only=True)) == ("a3", "s0")


async def test_a_graph_that_cannot_be_built_is_said(folder: Path):
    with pytest.raises(GraphNotBuilt, match="FileNotFoundError"):
        await build_elsewhere(folder / "no.log", 100, folder / "graph", DIMENSION)


@pytest.mark.parametrize(
    ("ungraphed", "graphed", "quiet_s", "due"),
    [
        (9_999, 0, 60.0, False),
        (10_000, 0, 2.0, True),
        (10_000, 0, 0.0, False),
        (40_000, 0, 0.0, True),
        (10_000, 1_000_000, 60.0, False),
        (20_000, 1_000_000, 60.0, True),
        (500_000, 1_000_000, 0.0, False),
    ],
)
def test_a_graph_is_due_when_many_points_lack_one_and_the_fleet_is_quiet_or_has_doubled(
    ungraphed: int, graphed: int, quiet_s: float, due: bool
):
    assert is_due(ungraphed, graphed, quiet_s) is due


async def test_the_next_process_finds_agents_and_marks_without_filling(folder: Path):
    async with opened(folder) as index:
        await fill(index, 5)
        await index.replace("default", "a0", [])
        await index.note_health("default", "a1", dead=True)
    async with opened(folder) as index:
        assert await index.marks() == {("default", f"a{n}"): f"mark {n}" for n in range(1, 5)}
        assert await index.count() == 4 * SKILLS
        assert await nearest(index, vectors_of(1)[3], IndexFilter("default", alive_only=True)) == ("a1", "s3")
        await index.replace("default", "a1", [])
        assert await index.count() == 3 * SKILLS
    assert homes(folder) == 1


async def test_what_a_killed_process_left_is_found_as_well(folder: Path):
    async with opened(folder / "one") as index:
        await fill(index, 5)
        shutil.copytree(folder / "one", folder / "killed")
    async with opened(folder / "killed") as index:
        assert await index.count() == 5 * SKILLS
        assert await nearest(index, vectors_of(4)[9]) == ("a4", "s9")


async def test_vectors_of_another_encoder_are_not_used_and_that_is_said(folder: Path, caplog: pytest.LogCaptureFixture):
    async with opened(folder, "minilm-1") as index:
        await fill(index, 3)
    with caplog.at_level(logging.WARNING):
        async with opened(folder, "minilm-2") as index:
            assert (await index.marks(), await index.count()) == ({}, 0)
            await fill(index, 1)
            assert await nearest(index, vectors_of(0)[1]) == ("a0", "s1")
    assert "filled again" in caplog.text
    assert "minilm-1" in caplog.text


@pytest.mark.parametrize("damage", ["cut", "flipped", "garbage"])
async def test_a_damaged_file_gives_what_is_sound_and_says_so(
    folder: Path, caplog: pytest.LogCaptureFixture, damage: str
):
    async with opened(folder) as index:
        await fill(index, 4)
    log = one_file(folder, "*/skills.log")
    whole = log.read_bytes()
    last = len(whole) - 100
    log.write_bytes(
        {
            "cut": whole[:last],
            "flipped": whole[:last] + bytes([whole[last] ^ 1]) + whole[last + 1 :],
            "garbage": b"\x00\xff" * 5_000,
        }[damage]
    )
    with caplog.at_level(logging.WARNING):
        async with opened(folder) as index:
            sound = 0 if damage == "garbage" else 3
            assert set(await index.marks()) == {("default", f"a{n}") for n in range(sound)}
            await fill(index, 4)
            assert await nearest(index, vectors_of(3)[2]) == ("a3", "s2")
    assert "filled again" in caplog.text


async def test_damaged_files_of_the_engine_are_built_again_from_the_log(folder: Path, caplog: pytest.LogCaptureFixture):
    async with opened(folder) as index:
        await fill(index, 4)
    segment = one_file(folder, "*/shard/segments/*/vector_storage/vectors/chunk_0.mmap")
    whole = segment.read_bytes()
    segment.write_bytes(whole[:64] + b"\x07" * 64 + whole[128:])
    with caplog.at_level(logging.WARNING):
        async with opened(folder) as index:
            for agent in range(4):
                assert await nearest(index, vectors_of(agent)[0]) == (f"a{agent}", "s0")
    assert "built again" in caplog.text


async def test_two_processes_have_a_folder_each(folder: Path):
    async with opened(folder) as one, opened(folder) as two:
        await fill(one, 2)
        assert await two.count() == 0
        assert homes(folder) == 2


async def test_a_file_of_many_changes_shrinks_when_it_is_opened(folder: Path):
    async with opened(folder) as index:
        for _ in range(1_100):
            await index.replace("default", "a0", points_of(0)[:1], "mark 0")
    log = one_file(folder, "*/skills.log")
    shutil.rmtree(log.parent / "shard")
    before = log.stat().st_size
    async with opened(folder) as index:
        assert await nearest(index, vectors_of(0)[0]) == ("a0", "s0")
        assert log.stat().st_size < before / 500

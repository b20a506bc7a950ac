"""Filters where a shard has a graph and too many points to compare each: none may lose many of the nearest."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agents.matching.evaluation.index_exact import nearest
from agents.matching.evaluation.index_made import EVERYONE, NARROWINGS, SKILLS_PER_AGENT, Made, make, points_of
from agents.registry import skill_index_shard
from agents.registry.skill_index_shard import Shard

SKILLS, QUESTIONS, FOUND = 6_000, 60, 10
MEMORY = Path("/dev/shm")
SCANNED_KB = 16
"""Of 384 floats, ten: filters are met in the graph, as they are in a large index."""


@pytest.fixture(scope="module")
def made() -> Made:
    return make(SKILLS, 5, QUESTIONS)


@pytest.fixture(scope="module")
def shard(made: Made) -> Iterator[Shard]:
    with (
        pytest.MonkeyPatch.context() as patch,
        TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder,
    ):
        patch.setattr(skill_index_shard, "SCANNED_KB", SCANNED_KB)
        growing = Shard.create(Path(folder) / "shard", made.vectors.shape[1])
        growing.index_payload()
        for agent in range(SKILLS // SKILLS_PER_AGENT):
            growing.write(points_of(made, agent), dead=False, mark="")
        growing.optimize()
        growing.close()
        grown = Shard.load(growing.folder)
        yield grown
        grown.close()


@pytest.mark.parametrize("name", ["everyone", *NARROWINGS])
def test_a_filter_of_any_width_finds_nearly_all_of_the_nearest(shard: Shard, made: Made, name: str):
    narrowing = NARROWINGS.get(name, EVERYONE)
    [exact] = nearest(made.vectors, made.questions, [narrowing.allowed(SKILLS)], FOUND)
    found = 0
    for question, rows in zip(made.questions, exact, strict=True):
        answer = shard.nearest(question.tolist(), narrowing.where, FOUND)
        assert len(answer) == FOUND
        found += len({payload["skill"] for payload, _ in answer} & {f"s{row}" for row in rows})
    assert found / exact.size >= 0.95

"""Filters where a shard has a graph and too many points to compare each: none may lose many of the nearest."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from agents.matching.evaluation.index_exact import nearest
from agents.matching.evaluation.index_made import (
    EVERYONE,
    NARROWINGS,
    SKILLS_PER_AGENT,
    Made,
    Narrowing,
    make,
    points_of,
)
from agents.ports.skill_index import IndexFilter, SkillPoint
from agents.registry.skill_index.scan import SCANNED_SHARE, scanned_below, widen
from agents.registry.skill_index.shard import Shard
from schemas.parts import Modality

SKILLS, QUESTIONS, FOUND = 6_000, 60, 10
MEMORY = Path("/dev/shm")
SCANNED_POINTS = 10
"""Filters are met in the graph, as they are in a large index."""


@pytest.fixture(scope="module")
def made() -> Made:
    return make(SKILLS, 5, QUESTIONS)


@contextmanager
def graphed(points: Iterable[Sequence[SkillPoint]], dimension: int, widened: int = 0) -> Iterator[Shard]:
    with (
        pytest.MonkeyPatch.context() as patch,
        TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder,
    ):
        patch.setattr("agents.registry.skill_index.shard.SCANNED_POINTS", SCANNED_POINTS)
        growing = Shard.create(Path(folder) / "shard", dimension)
        growing.index_payload()
        for some in points:
            growing.write(some, dead=False, mark="")
        growing.optimize()
        growing.close()
        assert scanned_below(growing.folder) <= SCANNED_POINTS
        widen(growing.folder, widened)
        grown = Shard.load(growing.folder)
        yield grown
        grown.close()


@pytest.fixture(scope="module")
def shard(made: Made) -> Iterator[Shard]:
    with graphed(all_points(made), made.vectors.shape[1]) as grown:
        yield grown


def all_points(made: Made) -> Iterator[Sequence[SkillPoint]]:
    return (points_of(made, agent) for agent in range(SKILLS // SKILLS_PER_AGENT))


@pytest.mark.parametrize("name", ["everyone", *NARROWINGS])
def test_a_filter_of_any_width_finds_nearly_all_of_the_nearest(shard: Shard, made: Made, name: str):
    assert recall(shard, made, NARROWINGS.get(name, EVERYONE)) >= 0.95


def test_where_copies_are_compared_narrow_filters_lose_nobody(made: Made):
    with graphed(all_points(made), made.vectors.shape[1], widened=SKILLS) as grown:
        assert scanned_below(grown.folder) == SCANNED_SHARE * SKILLS
        assert [recall(grown, made, NARROWINGS[name]) for name in ("ninth", "tenth", "twentieth")] == [1.0] * 3
        assert recall(grown, made, EVERYONE) >= 0.95


def recall(shard: Shard, made: Made, narrowing: Narrowing) -> float:
    [exact] = nearest(made.vectors, made.questions, [narrowing.allowed(SKILLS)], FOUND)
    found = 0
    for question, rows in zip(made.questions, exact, strict=True):
        answer = shard.nearest(question.tolist(), narrowing.where, FOUND)
        assert len(answer) == FOUND
        found += len({payload["skill"] for payload, _ in answer} & {f"s{row}" for row in rows})
    return found / exact.size


def test_where_all_that_is_near_is_forbidden_the_nearest_of_the_far_are_found():
    dimension, count = 64, 6_000
    rows = np.random.default_rng(0).standard_normal((count, dimension)).astype(np.float32)
    rows[: count // 2, 0] += 20
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    text = frozenset({Modality.TEXT})
    points = [
        SkillPoint("default", f"a{n}", "s", row, text, cost=1.0 if n < count // 2 else 0.0)
        for n, row in enumerate(rows)
    ]
    question = np.eye(dimension, dtype=np.float32)[0]
    far = count // 2 + np.argsort(-(rows[count // 2 :] @ question))[:FOUND]
    with graphed([points], dimension) as grown:
        answer = grown.nearest(question.tolist(), IndexFilter("default", cost_max=0.5), FOUND)
    assert [payload["agent"] for payload, _ in answer] == [f"a{n}" for n in far]

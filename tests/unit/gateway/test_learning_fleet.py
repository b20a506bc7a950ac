"""The benchmark's fleets: kinds of task of what is wanted, and kinds that the words alone tell."""

import numpy as np
import pytest

from benchmarks.learning_fleet import EXAMPLES, KINDS, QUERIES, TOOLS, work_of

TASKS = 600
DIMENSION = 32


def queries() -> tuple[np.ndarray, list[str], np.ndarray]:
    """(queries, d) around twenty themes; every tool is asked for in the words of two of them, one of them rare."""
    rng = np.random.default_rng(0)
    themes = np.eye(20, DIMENSION, dtype=np.float32)
    said = rng.integers(20, size=TASKS + KINDS * EXAMPLES * 8)
    vectors = themes[said] + rng.normal(0, 0.05, (len(said), DIMENSION)).astype(np.float32)
    strays = rng.random(len(said)) < 0.2
    meant = np.where(strays, rng.integers(20, size=len(said)), said)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), [f"tool {one}" for one in meant], said


def told_by_theme(kinds: np.ndarray, said: np.ndarray) -> float:
    """The share of queries whose kind is their theme's usual one."""
    return sum(np.bincount(kinds[said == theme]).max() for theme in range(20)) / len(said)


def test_only_kinds_of_queries_are_told_by_the_words():
    vectors, gold, said = queries()
    assert told_by_theme(work_of(vectors, gold, 0, TASKS, QUERIES).kinds, said) > 0.97
    assert told_by_theme(work_of(vectors, gold, 0, TASKS, TOOLS).kinds, said) < 0.9


@pytest.mark.parametrize("kinds_of", [TOOLS, QUERIES])
def test_examples_are_of_their_kind_and_never_among_the_tasks(kinds_of):
    vectors, gold, _ = queries()
    work = work_of(vectors, gold, 0, TASKS, kinds_of)
    assert len(work.rows) == TASKS
    for kind, rows in enumerate(work.examples):
        assert rows
        assert set(work.kinds[list(rows)]) == {kind}
        assert not set(rows) & set(work.rows.tolist())


def test_the_harder_fleet_is_the_usual_one():
    vectors, gold, _ = queries()
    usual, hard = work_of(vectors, gold, 0, TASKS), work_of(vectors, gold, 0, TASKS, TOOLS)
    assert np.array_equal(usual.kinds, hard.kinds)
    assert np.array_equal(usual.rows, hard.rows)

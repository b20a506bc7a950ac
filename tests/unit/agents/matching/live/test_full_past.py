"""A full past drops what is least missed: common steps make room for one another, rare ones stay, the latest stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.matching.live.crowds import Cells, least_missed
from agents.matching.live.features import Shown
from agents.matching.live.past import PastTasks
from agents.matching.live.policy import LivePolicy, Outcome
from agents.matching.live.standings import Standings

DIMENSION = 16


def around(rng: np.random.Generator, middle: np.ndarray, count: int, spread: float = 0.1) -> np.ndarray:
    vectors = middle + spread * rng.normal(size=(count, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def add(past: PastTasks, vectors: np.ndarray, agent: int, name: str) -> None:
    ids = [f"{name}{number}" for number in range(len(vectors))]
    past.extend(ids, vectors, np.full(len(vectors), agent), np.ones(len(vectors)))


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(1, 300), agents=st.integers(1, 5), seed=st.integers(0, 1_000), data=st.data())
def test_so_many_go_as_are_asked_for_and_none_of_the_latest(rows: int, agents: int, seed: int, data: st.DataObject):
    rng = np.random.default_rng(seed)
    latest = data.draw(st.integers(0, rows - 1))
    dropped = data.draw(st.integers(1, rows - latest))
    who, cells = rng.integers(0, agents, rows).astype(np.int32), rng.integers(0, 4, rows).astype(np.int16)
    stay = least_missed(who, cells, latest, dropped)
    assert len(stay) == rows - dropped
    assert (np.diff(stay) > 0).all()
    assert set(range(rows - latest, rows)) <= set(stay.tolist())


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(2, 200), seed=st.integers(0, 1_000))
def test_whatever_goes_has_as_many_later_ones_like_it_as_anything_that_stays(rows: int, seed: int):
    rng = np.random.default_rng(seed)
    who, cells = rng.integers(0, 3, rows).astype(np.int32), rng.integers(0, 3, rows).astype(np.int16)
    stay = set(least_missed(who, cells, 0, rows // 2).tolist())
    later = [sum(who[row] == who[r] and cells[row] == cells[r] for r in range(row + 1, rows)) for row in range(rows)]
    gone = [later[row] for row in range(rows) if row not in stay]
    assert min(gone) >= max((later[row] for row in stay), default=0)


def test_where_nothing_is_like_anything_the_oldest_go():
    who, cells = np.arange(10, dtype=np.int32), np.zeros(10, dtype=np.int16)
    assert least_missed(who, cells, 2, 3).tolist() == [3, 4, 5, 6, 7, 8, 9]


def test_the_same_words_lie_in_one_cell_and_unlike_ones_mostly_do_not():
    rng = np.random.default_rng(0)
    here = around(rng, np.zeros(DIMENSION), 1)[0]
    assert len(set(Cells(DIMENSION)(np.tile(here, (50, 1))).tolist())) == 1
    assert len(set(Cells(DIMENSION)(around(rng, np.zeros(DIMENSION), 100)).tolist())) > 80


def test_a_flood_of_common_tasks_does_not_wash_away_rare_ones():
    rng = np.random.default_rng(1)
    rare, common = np.eye(DIMENSION)[:2]
    past = PastTasks(DIMENSION, capacity=400)
    add(past, around(rng, rare, 40), 0, "rare")
    for lot in range(20):
        add(past, around(rng, common, 150), 0, f"common{lot}-")
    kept = sum(task_id.startswith("rare") for task_id in past.task_ids)
    assert past.count <= 400
    assert kept >= 30
    assert past.task_ids[-100:] == [f"common19-{number}" for number in range(50, 150)]


def test_what_is_dropped_does_not_depend_on_the_lots_in_which_steps_came():
    rng = np.random.default_rng(2)
    vectors, agents = around(rng, np.eye(DIMENSION)[0], 500, 1.0), rng.integers(0, 3, 500)
    together, apart = PastTasks(DIMENSION, capacity=90), PastTasks(DIMENSION, capacity=90)
    together.extend([f"t{number}" for number in range(500)], vectors, agents, np.ones(500))
    for number, vector in enumerate(vectors):
        apart.add(f"t{number}", vector, int(agents[number]), 1.0)
    assert together.task_ids == apart.task_ids
    np.testing.assert_array_equal(together.vectors, apart.vectors)
    np.testing.assert_array_equal(together.serials, apart.serials)


@pytest.mark.parametrize("of_a_kind", [3, 30])
def test_who_does_a_rare_kind_well_is_known_after_a_flood_of_other_tasks(of_a_kind: int):
    rng = np.random.default_rng(3)
    rare, common = np.eye(DIMENSION)[:2]
    policy = LivePolicy(PastTasks(DIMENSION, capacity=600), Standings())
    steps = [("master", 1.0), ("bungler", 0.0)] * of_a_kind
    learned = [
        Outcome(f"rare{number}", agent, vector, success, 0.5)
        for number, ((agent, success), vector) in enumerate(
            zip(steps, around(rng, rare, len(steps), 0.02), strict=True)
        )
    ]
    policy.learn_all(learned)
    for lot in range(30):
        vectors = around(rng, common, 100)
        policy.learn_all([Outcome(f"c{lot}-{n}", "other", vector, 1.0, 0.5) for n, vector in enumerate(vectors)])
    policy.look()
    shown = Shown(*(np.full(2, value, dtype=np.float32) for value in (0.5, 0.0, 0.0)))
    judged = policy.judge(around(rng, rare, 1, 0.02)[0], ["master", "bungler"], shown)
    assert judged.amount[0] > 1.0
    assert judged.chances[0] > judged.chances[1] + 0.2

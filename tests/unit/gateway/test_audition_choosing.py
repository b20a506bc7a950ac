"""Which past tasks a newcomer is asked: half near its card, the rest drawn by its id, none that it cannot read."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agents.ports.skill_index import SkillPoint
from gateway.auditions.choosing import programme, repeatable, steps_by_agent
from schemas.parts import Modality
from schemas.task import TaskState
from tests.unit.evolution.experience_records import encoded
from tests.unit.evolution.test_rerunning import done

ENCODER, DIMENSION = "e", 8


def direction(place: int) -> np.ndarray:
    return np.eye(DIMENSION, dtype=np.float32)[place]


def at(number: int, vector, **changes):
    return done(number, "main", vector=encoded(vector), vector_version=ENCODER, **changes)


def point(place: int, *, agent="newcomer", skill="do", inputs=(Modality.TEXT,), needs=(), example=None) -> SkillPoint:
    return SkillPoint(
        "default", agent, skill, direction(place), frozenset(inputs), needs=frozenset(needs), example=example
    )


def varied(count: int):
    """Tasks more and more unlike direction 0."""
    vectors = [direction(0) + 0.1 * number * direction(1 + number % 7) for number in range(count)]
    return [at(number, vector / np.linalg.norm(vector)) for number, vector in enumerate(vectors)]


@given(tasks=st.integers(0, 40), wanted=st.integers(0, 20))
def test_as_many_as_wanted_each_once_and_half_of_them_the_nearest(tasks, wanted):
    records = varied(tasks)
    pieces = programme(records, [point(0)], wanted)
    ids = [piece.record.task_id for piece in pieces]
    assert len(ids) == len(set(ids)) == min(tasks, wanted)
    assert {f"t{number}" for number in range(min(tasks, wanted - wanted // 2))} <= set(ids)


def test_the_same_agent_is_asked_the_same_and_another_one_something_else():
    records = varied(60)
    asked = [[one.record.task_id for one in programme(records, [point(0, agent=name)], 20)] for name in "aab"]
    assert asked[0] == asked[1] != asked[2]


def test_a_task_goes_to_the_skill_that_is_nearest_by_its_words_or_an_example():
    points = [point(1, skill="far"), point(2, skill="near"), point(0, skill="near", example=0)]
    [piece] = programme([at(0, direction(0))], points, 1)
    assert piece.candidate.skill_id == "near"
    assert piece.candidate.scores == {"dense": 0.0, "example": 1.0}


def test_what_the_agent_cannot_read_or_what_lacks_what_it_needs_is_left_out():
    records = [at(0, direction(0)), at(1, direction(1), modalities=("text", "image"))]
    assert [one.record.task_id for one in programme(records, [point(0)], 5)] == ["t0"]
    seeing = point(0, inputs=(Modality.TEXT, Modality.IMAGE), needs=(Modality.IMAGE,))
    assert [one.record.task_id for one in programme(records, [seeing], 5)] == ["t1"]


def test_only_tasks_of_one_agent_and_of_this_encoder_are_repeated_each_content_once():
    old, new = at(0, direction(0), minutes_ago=9), at(1, direction(0), minutes_ago=1)
    team = at(2, direction(1)).model_copy(update={"chosen": ("main", "spare")})
    foreign = at(3, direction(2)).model_copy(update={"vector_version": "another"})
    blind = at(4, direction(3)).model_copy(update={"vector": None})
    assert repeatable([old, new, team, foreign, blind], ENCODER) == [new]


def test_steps_are_counted_by_who_did_them():
    assert steps_by_agent([at(0, direction(0)), at(1, direction(0))]) == {"main": 2}


def test_what_a_person_denied_before_anybody_began_is_asked_of_nobody():
    denied = {"state": TaskState.FAILED, "success": False, "failure_code": "approval_denied", "steps": ()}
    assert repeatable([at(0, direction(0)).model_copy(update=denied)], ENCODER) == []

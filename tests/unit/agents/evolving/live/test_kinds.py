"""Kinds of task are found as tasks come, within bounds; tasks of another shape never share one."""

import numpy as np

from agents.evolving.live.kinds import Kinds
from agents.evolving.live.shape import shape_of, verb_of
from agents.planning.complexity import analyse
from schemas.parts import text_part
from schemas.task import RoutingHints, TaskSubmitted


def unit(*values: float) -> np.ndarray:
    vector = np.array(values, dtype=np.float32)
    return vector / np.linalg.norm(vector)


def shape(words: str, policy: str = "", **task) -> str:
    parts = (text_part(words),)
    return shape_of(analyse(parts), TaskSubmitted(parts=parts, **task), policy)


def test_a_task_joins_the_nearest_kind_within_reach():
    kinds = Kinds()
    kinds.found("east", "s", ("go east",), unit(1, 0, 0))
    kinds.found("north", "s", ("go north",), unit(0, 1, 0))
    assert kinds.meet("s", ("go",), unit(1, 0.3, 0)).kind == "east"
    assert kinds.meet("s", ("go",), unit(0.2, 1, 0)).kind == "north"
    assert kinds.meet("s", ("go",), unit(1, 1, 1)) is None
    assert kinds.meet("other", ("go",), unit(1, 0, 0)) is None


def test_the_same_words_are_of_the_same_kind_whatever_the_vector():
    kinds = Kinds()
    kinds.found("east", "s", ("go east",), unit(1, 0))
    met = kinds.meet("s", ("go east",), unit(0, 1))
    assert (met.kind, met.word_for_word) == ("east", True)
    assert kinds.meet("s", ("go east",), None).kind == "east"
    assert kinds.meet("s", ("go west",), None) is None


def test_several_goals_have_to_be_nearer():
    kinds = Kinds()
    kinds.found("both", "s", ("a", "b"), unit(1, 0))
    near = unit(1, 0.6)
    assert kinds.meet("s", ("c", "d"), near) is None
    kinds.found("one", "t", ("a",), unit(1, 0))
    assert kinds.meet("t", ("c",), near).kind == "one"


def test_the_kind_that_was_not_met_for_longest_makes_room():
    kinds = Kinds(limit=2)
    kinds.found("first", "s", ("1",), unit(1, 0, 0))
    kinds.found("second", "s", ("2",), unit(0, 1, 0))
    assert kinds.meet("s", ("1",), None).kind == "first"
    assert kinds.found("third", "s", ("3",), unit(0, 0, 1)) == "second"
    assert kinds.meet("s", ("2",), unit(0, 1, 0)) is None
    assert len(kinds) == 2


def test_of_too_many_wordings_the_oldest_are_recognised_by_their_vector_alone(monkeypatch):
    monkeypatch.setattr("agents.evolving.live.kinds.WORDINGS_MAX", 2)
    kinds = Kinds()
    for words in ("first", "second", "third"):
        kinds.found("east", "s", (words,), unit(1, 0))
    met = [kinds.meet("s", (words,), unit(1, 0)).word_for_word for words in ("first", "second", "third")]
    assert met == [False, True, True]


def test_a_forgotten_kind_can_be_founded_again():
    kinds = Kinds()
    kinds.found("east", "s", ("go east",), unit(1, 0))
    kinds.forget("east")
    kinds.forget("east")
    assert kinds.meet("s", ("go east",), unit(1, 0)) is None
    kinds.found("east", "s", ("go east",), unit(1, 0))
    assert kinds.meet("s", ("go east",), unit(1, 0)).kind == "east"


def test_what_is_asked_and_under_which_hints_makes_the_shape():
    assert shape("Summarise the tale of a fox") == shape("Please summarise the story of a wolf")
    assert shape("Summarise the tale") != shape("Translate the tale")
    assert shape("Summarise the tale") != shape("Summarise the tale, then translate it")
    assert shape("Summarise it") != shape("Summarise it", routing=RoutingHints(exclude=("a",)))
    assert shape("Summarise it") != shape("Summarise it", requires_approval=True)
    assert shape("Summarise it", "learned-1") != shape("Summarise it", "learned-2")


def test_politeness_is_no_verb():
    assert verb_of("Could you please help me to draw a chart") == "draw"
    assert verb_of("1234") == ""

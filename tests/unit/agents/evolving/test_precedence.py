"""Who stands first of two agents that both take part: by like tasks, and by like agents for pairs never met."""

import itertools

import numpy as np
import pytest

from agents.evolving.prediction.past import PastGraph
from agents.evolving.prediction.precedence import Precedence, of_tasks
from agents.evolving.prediction.texts import Likeness, Tasks

CARDS = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32)
"""The first two agents mean the same."""


def tasks(*texts):
    return Tasks(texts, np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (len(texts), 1)))


def made(texts, graphs, folds=None):
    likeness = Likeness(tasks(*texts))
    folds = np.arange(len(texts)) % 2 if folds is None else folds
    return likeness, Precedence(CARDS, of_tasks(likeness.of(tasks(*texts))), graphs, folds)


def chain(*agents):
    return PastGraph(agents, tuple(itertools.pairwise(agents)))


@pytest.fixture(scope="module")
def told():
    """Of a new task's agents 0 to 3, where 0 always stood right before 2, and 3 two places behind 0."""
    likeness, precedence = made(["scan it"] * 8, [chain(0, 2, 3)] * 8)
    return precedence.of(likeness.of(tasks("scan it")), np.array([[0, 1, 2, 3]]))[0]


def test_what_was_first_before_is_first_again(told):
    assert told[0, 2, 0] > 0.8


def test_what_is_said_of_an_order_is_said_against_its_opposite(told):
    turned = told.swapaxes(0, 1) * [-1.0, 1.0]
    np.testing.assert_allclose(turned, told, atol=1e-6)


def test_a_pair_never_met_is_told_what_its_likes_did(told):
    assert told[1, 2, 0] > 0.1
    assert told[0, 1, 0] == pytest.approx(0.0, abs=0.01)


def test_neighbours_in_a_chain_are_told_from_its_ends(told):
    assert told[0, 2, 1] > told[0, 3, 1] + 0.5


def test_the_words_of_a_task_turn_the_order():
    likeness, precedence = made(
        ["scan then print", "print then scan"] * 6, [chain(0, 2), chain(2, 0)] * 6, np.arange(12) // 4
    )
    said = precedence.of(
        likeness.of(tasks("please scan, then print", "please print, then scan")), np.array([[0, 2]] * 2)
    )
    assert said[0, 0, 1, 0] > 0.2
    assert said[1, 0, 1, 0] < -0.2


def test_past_tasks_are_told_without_their_fold():
    likeness, precedence = made(
        ["scan it"] * 4, [chain(0, 2), chain(0, 2), chain(0, 2), chain(3, 2)], np.array([0, 0, 0, 1])
    )
    assert precedence.of_past(np.array([[3, 2]] * 4))[3, 0, 1, 0] == pytest.approx(0.0, abs=0.05)
    assert precedence.of(likeness.of(tasks("scan it")), np.array([[3, 2]]))[0, 0, 1, 0] > 0.3


def test_where_agents_always_worked_alone_nothing_is_told():
    likeness, precedence = made(["scan it"] * 4, [chain(0)] * 4)
    assert not precedence.of(likeness.of(tasks(*["scan it"] * 4)), np.array([[0, 2]] * 4)).any()

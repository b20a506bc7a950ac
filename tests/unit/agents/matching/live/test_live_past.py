"""Past tasks: what is near counts, what came later displaces it, old failures are forgiven."""

import numpy as np

from agents.matching.live.evidence import Kernel
from agents.matching.live.past import FORGIVING_OUTCOMES, ROWS_MAX, PastTasks

KERNEL = Kernel(sharpness=10.0, memory=4.0)
DIMENSION = 8


def direction(number: int) -> np.ndarray:
    vector = np.zeros(DIMENSION, np.float32)
    vector[number] = 1.0
    return vector


def past_of(*steps: tuple[int, int, float]) -> PastTasks:
    past = PastTasks(DIMENSION)
    for number, (where, agent, outcome) in enumerate(steps):
        past.add(f"t{number}", direction(where), agent, outcome)
    return past


def evidence(past: PastTasks, where: int, agents: int = 2):
    return past.evidence(past.near(direction(where)), KERNEL, agents)


def test_without_a_past_there_is_no_evidence():
    found = evidence(PastTasks(DIMENSION), 0)
    assert found.successes.tolist() == [0, 0]
    assert found.amount.tolist() == [0, 0]


def test_only_tasks_that_are_alike_count():
    found = evidence(past_of((0, 0, 1.0), (1, 1, 1.0)), 0)
    assert found.successes[0] > 0.9
    assert found.successes[1] < 0.1


def test_success_and_failure_are_told_apart_by_agent():
    found = evidence(past_of((0, 0, 1.0), (0, 1, 0.0)), 0)
    assert found.successes[0] > 0.9 > 0.1 > found.failures[0]
    assert found.failures[1] > 0.9 > 0.1 > found.successes[1]


def test_later_tasks_of_the_same_agent_displace_earlier_ones_and_those_of_others_do_not():
    changed = evidence(past_of(*[(0, 0, 1.0)] * 20, *[(0, 0, 0.0)] * 20), 0)
    assert changed.failures[0] > 10 * changed.successes[0]
    seldom = evidence(past_of((0, 0, 1.0), *[(0, 1, 0.0)] * 20), 0)
    assert seldom.successes[0] > 0.9


def test_evidence_of_one_kind_stays_bounded_however_often_it_comes():
    few, many = (evidence(past_of(*[(0, 0, 1.0)] * n), 0).successes[0] for n in (30, 300))
    assert many < 1.2 * few < 1.2 * (KERNEL.memory + 1.5)


def test_an_old_failure_is_forgiven_and_an_old_success_remembered():
    later = int(2 * FORGIVING_OUTCOMES)
    past = past_of((0, 0, 0.0), (0, 1, 1.0))
    past.extend([f"x{n}" for n in range(later)], np.tile(direction(5), (later, 1)), np.full(later, 2), np.ones(later))
    found = evidence(past, 0, agents=3)
    assert found.failures[0] < 0.3
    assert found.successes[1] > 0.9


def test_where_one_request_comes_again_and_again_the_latest_of_them_count():
    past = past_of(*[(0, 0, 1.0)] * (5 * ROWS_MAX), *[(0, 0, 0.0)] * 20)
    assert past.near(direction(0)).rows.tolist() == list(range(past.count - ROWS_MAX, past.count))
    assert evidence(past, 0).failures[0] > 10 * evidence(past, 0).successes[0]


def test_what_people_say_replaces_what_a_result_looked_like():
    past = past_of((0, 0, 1.0), (0, 1, 1.0))
    assert past.correct("t0", 0.0) == [(0, 1.0)]
    assert past.outcomes.tolist() == [0.0, 1.0]
    assert past.correct("nobody knows it", 0.0) == []


def test_kept_answers_follow_what_is_corrected_and_what_comes_later():
    past = past_of((0, 0, 1.0), (0, 1, 0.0), (0, 0, 1.0))
    near = past.near(direction(0))
    assert past.evidence(near, KERNEL, 2).failures[0] == 0.0
    past.correct("t2", 0.0)
    assert past.evidence(near, KERNEL, 2).failures[0] > 0.5
    for number in range(5):
        past.add(f"later{number}", direction(0), 1, 1.0)
    assert past.evidence(past.near(direction(0)), KERNEL, 2).successes[1] > 2.0

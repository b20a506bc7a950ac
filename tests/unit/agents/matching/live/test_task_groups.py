"""Groups of tasks: a few outcomes speak for a whole kind, later ones displace earlier ones, counts can be made anew."""

import numpy as np
import pytest

from agents.matching.live.evidence import Steps
from agents.matching.live.groups import FIRST_AT, GroupEvidence, TaskGroups
from agents.matching.live.past import PastTasks
from agents.matching.live.standings import Standings, half_life

DIMENSION, KINDS, USUAL = 32, 4, 0.5


def task(kind: int, rng: np.random.Generator) -> np.ndarray:
    vector = rng.normal(0, 0.15, DIMENSION).astype(np.float32)
    vector[kind] += 1.0
    return vector / np.linalg.norm(vector)


def past_of(steps: int, rng: np.random.Generator) -> PastTasks:
    """Agents 0 to 3 in turn, at kinds in turn; each succeeds at the kind of its number."""
    past = PastTasks(DIMENSION)
    for number in range(steps):
        kind, agent = number % KINDS, number // KINDS % KINDS
        past.add(f"t{number}", task(kind, rng), agent, float(agent == kind))
    return past


def found(past: PastTasks) -> TaskGroups:
    groups = TaskGroups()
    groups.find(past, KINDS, past.count)
    return groups


def tell(groups: TaskGroups, past: PastTasks, vector: np.ndarray, agent: int, outcome: float) -> None:
    own = np.flatnonzero(past.agents == agent)
    others = past.count - 1 - int(own[-1]) if len(own) else 0
    groups.add(vector, agent, outcome, float(np.exp2(-others / half_life(1))))
    past.add(f"x{past.count}", vector, agent, outcome)


def same(one: GroupEvidence, other: GroupEvidence) -> bool:
    return np.allclose(one.chances, other.chances, atol=1e-4) and np.allclose(one.votes, other.votes, atol=1e-4)


def test_before_there_are_outcomes_enough_everybody_has_the_usual_chance():
    rng = np.random.default_rng(0)
    groups = found(past_of(FIRST_AT - 1, rng))
    assert not groups
    assert groups.evidence(task(0, rng), 2, 0.3).chances == pytest.approx([0.3, 0.3])


@pytest.mark.parametrize("kind", range(KINDS))
def test_each_kind_is_known_by_who_succeeds_at_it(kind):
    rng = np.random.default_rng(1)
    evidence = found(past_of(FIRST_AT, rng)).evidence(task(kind, rng), KINDS, USUAL)
    assert evidence.chances.argmax() == evidence.votes.argmax() == kind
    assert evidence.chances[kind] > 0.7 > 0.3 > np.delete(evidence.chances, kind).max()


def test_a_few_successes_of_a_stranger_speak_for_all_tasks_of_the_kind():
    rng = np.random.default_rng(2)
    past = past_of(FIRST_AT, rng)
    groups = found(past)
    for _ in range(5):
        tell(groups, past, task(0, rng), KINDS, 1.0)
    alike, other = groups.evidence(task(0, rng), KINDS + 1, 0.2), groups.evidence(task(1, rng), KINDS + 1, 0.2)
    assert alike.chances[KINDS] > 0.4
    assert other.chances[KINDS] < 0.3


def test_an_agent_that_changes_is_judged_by_its_later_steps():
    rng = np.random.default_rng(3)
    past = past_of(4 * FIRST_AT, rng)
    groups = found(past)
    assert groups.evidence(task(0, rng), KINDS, USUAL).chances[0] > 0.7
    for _ in range(120):
        tell(groups, past, task(0, rng), 0, 0.0)
    assert groups.evidence(task(0, rng), KINDS, USUAL).chances[0] < 0.3


def test_counting_anew_is_the_same_as_step_by_step():
    rng = np.random.default_rng(4)
    past = past_of(FIRST_AT, rng)
    groups = found(past)
    for number in range(60):
        tell(groups, past, task(number % KINDS, rng), number % 6, float(number % 3 == 0))
    vector = task(2, rng)
    before = groups.evidence(vector, 6, USUAL)
    again = TaskGroups()
    again.restore(groups.centres, past, 6, groups.kin)
    assert same(again.evidence(vector, 6, USUAL), before)


def scattered(kind: int, rng: np.random.Generator) -> np.ndarray:
    """A task of the kind in one of eight wordings that have nothing in common."""
    vector = rng.normal(0, 0.05, DIMENSION).astype(np.float32)
    vector[kind + KINDS * rng.integers(0, 8)] += 1.0
    return vector / np.linalg.norm(vector)


def test_whoever_takes_over_a_kind_is_believed_for_wordings_it_never_did():
    rng = np.random.default_rng(8)
    past = PastTasks(DIMENSION)
    for number in range(8 * FIRST_AT):
        kind, agent = number % KINDS, number // KINDS % KINDS
        past.add(f"t{number}", scattered(kind, rng), agent, float(agent == kind))
    groups = found(past)
    for _ in range(8):
        groups.add(unit(0), KINDS, 1.0)
    done, never_done, other = (
        groups.evidence(unit(wording), KINDS + 1, 0.2).chances[KINDS] for wording in (0, KINDS, 1)
    )
    assert done > 0.6
    assert never_done > 0.5
    assert other < 0.25


def unit(wording: int) -> np.ndarray:
    vector = np.zeros(DIMENSION, np.float32)
    vector[wording] = 1.0
    return vector


def test_groups_are_found_anew_when_there_are_twice_as_many_outcomes():
    rng = np.random.default_rng(5)
    past = past_of(FIRST_AT, rng)
    groups = found(past)
    first = groups.centres
    groups.find(past, KINDS, FIRST_AT + 10)
    assert all(one is other for one, other in zip(first, groups.centres, strict=True))
    groups.find(past_of(2 * FIRST_AT, rng), KINDS, 2 * FIRST_AT)
    assert sum(map(len, groups.centres)) > sum(map(len, first))


def test_what_the_very_task_taught_can_be_left_out():
    rng = np.random.default_rng(6)
    past = past_of(4 * FIRST_AT, rng)
    groups, vector = found(past), task(0, rng)
    before = groups.evidence(vector, KINDS, USUAL)
    groups.add(vector, 3, 1.0)
    own = Steps(np.array([0]), np.array([3]), np.array([1.0], np.float32))
    assert groups.evidence(vector, KINDS, USUAL).chances[3] > before.chances[3] + 0.05
    without = groups.evidence(vector, KINDS, USUAL, own)
    assert without.chances == pytest.approx(before.chances, abs=2e-3)
    assert groups.evidence(vector, KINDS, USUAL).votes[3] > before.votes[3] + 0.01
    assert without.votes == pytest.approx(before.votes, abs=2e-3)


def test_what_people_say_counts_from_the_next_look_on():
    rng = np.random.default_rng(7)
    past = past_of(FIRST_AT, rng)
    groups, vector = found(past), task(0, rng)
    for number in range(past.count):
        if past.agents[number] == 0:
            past.correct(f"t{number}", 0.0)
    groups.outdated = True
    groups.find(past, KINDS, past.count + 1)
    assert groups.evidence(vector, KINDS, USUAL).chances[0] < 0.3


def test_many_steps_at_once_count_as_one_by_one():
    rng = np.random.default_rng(5)
    past = past_of(FIRST_AT, rng)
    one_by_one, at_once, standings = found(past), found(past), Standings()
    for agent in range(KINDS + 2):
        standings.met(str(agent))
    standings.remember(past.agents, np.ones(past.count, dtype=bool))
    kept = standings.kept
    vectors = np.stack([task(number % KINDS, rng) for number in range(200)])
    agents = rng.integers(0, KINDS + 2, 200).astype(np.int32)
    outcomes = rng.integers(0, 2, 200).astype(np.float32)
    for vector, agent, outcome in zip(vectors, agents, outcomes, strict=True):
        one_by_one.add(vector, int(agent), float(outcome), float(standings.kept[agent]))
        standings.add(int(agent), float(outcome), 20.0, 0.0)
    at_once.add_all(vectors, agents, outcomes, KINDS + 2, kept)
    assert np.allclose(at_once.counts, one_by_one.counts, atol=1e-4)
    at_once.add_all(vectors[:0], agents[:0], outcomes[:0], KINDS + 2)
    assert np.allclose(at_once.counts, one_by_one.counts, atol=1e-4)


def test_the_same_task_is_judged_by_new_groups_once_there_are_any():
    rng = np.random.default_rng(3)
    vector, groups = task(0, rng), TaskGroups()
    assert groups.evidence(vector, KINDS, USUAL).chances.tolist() == [USUAL] * KINDS
    past = past_of(2 * FIRST_AT, rng)
    groups.find(past, KINDS, past.count)
    fresh = found(past).evidence(vector.copy(), KINDS, USUAL)
    assert groups.evidence(vector, KINDS, USUAL).chances.tolist() == fresh.chances.tolist()
    assert fresh.chances[0] > 0.7
    again = TaskGroups()
    again.resume(groups.centres, groups.counts, groups.kin)
    assert np.array_equal(again.kin, groups.kin)
    assert again.evidence(vector, KINDS, USUAL).chances.tolist() == fresh.chances.tolist()

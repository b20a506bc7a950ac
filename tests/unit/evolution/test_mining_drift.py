"""Planted drifts are found where they are; quiet agents raise no alarm, however odd their numbers."""

import re
from datetime import timedelta

import numpy as np
import pytest

from evolution.mining.columns import columns_of
from evolution.mining.drift import change_point, find_drifts, holm
from evolution.mining.mine import mine
from schemas.pattern import PatternKind
from schemas.task import StepOutcome
from tests.unit.evolution.experience_records import MOMENT, a_record


def a_task(number, agent, *, success=True, latency_ms=20.0, cost=1.0):
    step = StepOutcome(
        step_id=f"t{number}.n0",
        node="n0",
        agent_id=agent,
        skill_id="do",
        attempts=1,
        latency_ms=latency_ms,
        cost=cost,
        ok=success,
    )
    base = a_record(f"t{number}-{agent}", chosen=(agent,), success=success, candidates=(), network=None, vector=None)
    return base.model_copy(update={"steps": (step,), "at": MOMENT + timedelta(minutes=number)})


def test_quiet_series_raise_false_alarms_no_more_often_than_promised():
    rng = np.random.default_rng(20261121)
    draws = {
        "even": lambda n: (rng.random(n) < 0.7).astype(float),
        "rarely fails": lambda n: (rng.random(n) < 0.97).astype(float),
        "log latency": lambda n: np.log1p(rng.lognormal(3, 1, n)),
        "heavy tails": lambda n: rng.standard_t(3, n),
    }
    for name, draw in draws.items():
        for count in (60, 300):
            found = [change_point(draw(count)) for _ in range(500)]
            alarms = sum(change is not None and change.p_value <= 0.05 for change in found)
            assert alarms / 500 <= 0.065, (name, count, alarms)  # 0.05 and two standard errors and a half


def test_a_change_is_found_near_its_place():
    rng = np.random.default_rng(1)
    places = []
    for _ in range(40):
        values = np.concatenate([(rng.random(300) < 0.9), (rng.random(200) < 0.6)]).astype(float)
        change = change_point(values)
        assert change.p_value < 0.01
        assert change.before > change.after
        places.append(change.index)
    assert abs(np.median(places) - 300) <= 10


def test_planted_drifts_of_a_fleet_are_found_with_high_precision_and_recall():
    rng = np.random.default_rng(2)
    planted = {("q0", "success"), ("q1", "success"), ("l0", "log_latency_ms"), ("l1", "log_latency_ms"), ("c0", "cost")}
    records = []
    for number in range(400):
        late = number >= 250
        for agent in ("q0", "q1", "l0", "l1", "c0", *(f"quiet{n}" for n in range(15))):
            success = rng.random() < (0.5 if late and agent.startswith("q") and len(agent) == 2 else 0.9)
            latency = rng.lognormal(3.5 if late and agent.startswith("l") else 3.0, 0.6)
            cost = 1.0 + 0.1 * rng.random() + (0.05 if late and agent == "c0" else 0.0)
            records.append(a_task(number, agent, success=bool(success), latency_ms=latency, cost=cost))
    found = find_drifts(columns_of(records, {}))
    assert {(drift.agent_id, drift.metric) for drift in found} == planted
    for drift in found:
        assert abs((drift.at - MOMENT) / timedelta(minutes=1) - 250) <= 40
        assert drift.error_rate <= 0.01
        assert drift.examples
    falls = {drift.agent_id: drift.after < drift.before for drift in found}
    assert falls == {"q0": True, "q1": True, "l0": False, "l1": False, "c0": False}


def test_a_new_mix_of_tasks_is_no_drift_of_the_agent():
    rng = np.random.default_rng(3)
    records, kinds = [], {}
    for number in range(400):
        hard = rng.random() < (0.2 if number < 200 else 0.8)
        record = a_task(number, "a", success=bool(rng.random() < (0.4 if hard else 0.95)))
        kinds[record.task_id] = int(hard)
        records.append(record)
    assert find_drifts(columns_of(records, kinds)) == []
    assert [drift.metric for drift in find_drifts(columns_of(records, {}))] == [
        "success"
    ]  # without kinds it looks like one


def test_fixed_prices_of_two_kinds_are_no_drift_when_their_mix_changes():
    tasks = [a_task(number, "a", cost=12_345.6 if number < 200 else 54_321.7) for number in range(400)]
    kinds = {task.task_id: int(number >= 200) for number, task in enumerate(tasks)}
    assert find_drifts(columns_of(tasks, kinds)) == []
    dearer = [a_task(number, "a", cost=12_345.6 if number < 300 else 12_345.7) for number in range(400)]
    [found] = find_drifts(columns_of(dearer, kinds))
    assert (found.metric, found.after) == ("cost", pytest.approx(12_345.7))


def test_the_examples_of_a_drift_are_different_tasks():
    tasks = [a_task(number, "a", cost=1.0 if number < 50 else 2.0) for number in range(100)]
    tasks = [task.model_copy(update={"steps": task.steps * 2}) for task in tasks]
    [found] = find_drifts(columns_of(tasks, {}))
    assert found.examples == tuple(f"t{number}-a" for number in range(50, 55))


def test_an_agent_that_others_save_is_found_and_they_are_not():
    rng = np.random.default_rng(4)
    records = []
    for number in range(400):
        failed = rng.random() < (0.1 if number < 200 else 0.6)
        record = a_task(number, "weak", success=not failed)
        saviour = a_task(number, "saviour").steps if failed else ()
        records.append(record.model_copy(update={"success": True, "steps": (*record.steps, *saviour)}))
    [found] = find_drifts(columns_of(records, {}))
    assert (found.agent_id, found.metric) == ("weak", "success")
    assert found.before > 0.8 > 0.5 > found.after


def test_too_few_values_or_values_that_never_vary_have_no_change():
    assert change_point(np.ones(30)) is None
    assert change_point(np.ones(500)) is None


def test_a_clean_step_is_certain():
    change = change_point(np.repeat([1.0, 2.0], [100, 50]))
    assert (change.index, change.before, change.after, change.p_value) == (100, 1.0, 2.0, 0.0)


def test_holms_correction_is_the_published_one():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_a_drift_is_told_in_numbers_that_people_read():
    rng = np.random.default_rng(9)
    slow = [a_task(n, "a", latency_ms=float((2000 if n < 100 else 9000) * rng.lognormal(0, 0.1))) for n in range(200)]
    [drift] = [pattern for pattern in mine(slow).patterns if pattern.kind is PatternKind.DRIFT]
    before, after = re.search(r"from (\S+) ms to (\S+) ms", drift.statement).groups()
    assert before.isdigit()
    assert after.isdigit()

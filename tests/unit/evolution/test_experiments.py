"""Experiments: a fair split, tests that survive peeking, and decisions that promote gains and stop harm.

How success is judged: ``test_experiment_evidence``.
"""

import math
from datetime import timedelta

import numpy as np
import pytest

from evolution.experiments.deciding import Action, Design, Guard, decide
from evolution.experiments.evidence import NOTHING
from evolution.experiments.sequential import difference, split_evidence
from evolution.experiments.tallies import COST, LATENCY, STRAYED, SUCCESS, Arms, Moments, Stage, concluded, tallied
from schemas.assignment import CONTROL, TREATMENT, arm_of, position
from schemas.base import new_id
from tests.unit.evolution.experience_records import a_record

DESIGN = Design("exp-1", control="cosine-1", treatment="learned-2")


def stage_of(share, treated, control, *, latency=None, cost=None) -> Stage:
    """A stage whose success, log latency and cost are these values; whose task comes when is drawn."""
    arms = {}
    drawn = np.random.default_rng(len(treated)).permutation(len(treated) + len(control))
    outcomes, in_treatment = np.concatenate([treated, control])[drawn], (np.arange(len(drawn)) < len(treated))[drawn]
    for index, (arm, values) in enumerate(((TREATMENT, treated), (CONTROL, control))):
        arms[arm] = {SUCCESS: Moments.of(np.asarray(values))}
        for metric, given in ((LATENCY, latency), (COST, cost)):
            if given is not None:
                arms[arm][metric] = Moments.of(given[index])
    return Stage(share, arms, NOTHING.after(outcomes, in_treatment, share))


def coin(rng, chance, count):
    return (rng.random(count) < chance).astype(float)


# The split


def test_a_task_keeps_its_arm_and_a_wider_canary_keeps_its_tasks():
    tasks = [new_id() for _ in range(2000)]
    narrow = {task for task in tasks if arm_of("e", task, 0.05) == TREATMENT}
    wide = {task for task in tasks if arm_of("e", task, 0.5) == TREATMENT}
    assert narrow < wide
    assert {task for task in tasks if arm_of("e", task, 0.5) == TREATMENT} == wide


def test_the_split_has_its_size_and_experiments_do_not_know_of_each_other():
    tasks = [f"task-{number}" for number in range(20_000)]
    one = np.array([arm_of("one", task, 0.2) == TREATMENT for task in tasks])
    two = np.array([arm_of("two", task, 0.2) == TREATMENT for task in tasks])
    assert one.mean() == pytest.approx(0.2, abs=0.01)
    assert (one & two).mean() == pytest.approx(0.04, abs=0.006)


def test_positions_are_the_same_in_every_process_and_release():
    assert position("exp", "task") == 0.17552745951806978


@pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
def test_a_share_outside_its_range_is_refused(share):
    with pytest.raises(ValueError, match="treatment_share"):
        arm_of("e", "t", share)


# Tallies


@pytest.mark.parametrize("count", [3, 7, 1000])
def test_the_mean_of_equal_values_is_that_value_however_they_are_added(count):
    values = np.full(count, 0.1)
    moments = Moments.of(values).merged(Moments.of(values[1:])).merged(Moments(1, 0.1, 0.0))
    assert (moments.mean, moments.squares) == (0.1, 0.0)


def test_moments_added_one_by_one_or_merged_are_those_of_all_values():
    values = np.random.default_rng(1).normal(1e6, 1.0, 501)
    one_by_one = Moments()
    for value in values[:200]:
        one_by_one = one_by_one.merged(Moments(1, value, 0.0))
    merged = one_by_one.merged(Moments.of(values[200:]))
    assert merged.mean == pytest.approx(values.mean(), rel=1e-12)
    assert merged.variance == pytest.approx(values.var(ddof=1), rel=1e-6)
    assert merged.merged(Moments()) == merged


ARMS = Arms("e", control="cosine-1", treatment="learned-2")


def task_in(arm: str) -> str:
    """The id of a task that belongs to that arm."""
    return next(name for name in (f"t{n}" for n in range(1000)) if arm_of(ARMS.key, name, 0.5) == arm)


def test_records_count_for_their_arm_when_its_policy_routed_them():
    records = [
        a_record(task_id=task_in(CONTROL), policy="cosine-1"),
        a_record(task_id=task_in(TREATMENT), policy="learned-2", success=False),
    ]
    stage, outcomes = tallied(Stage(0.5), records, ARMS, records[0].at - timedelta(days=1))
    stage = concluded(stage, outcomes, {})
    assert stage.count(CONTROL) == stage.count(TREATMENT) == stage.came(TREATMENT) == 1
    assert stage.moments(TREATMENT, SUCCESS).mean == 0.0
    assert stage.moments(CONTROL, LATENCY).mean == pytest.approx(math.log1p(12.5))


@pytest.mark.parametrize(("in_force_after_h", "strayed"), [(-1, 1), (1, 0)], ids=["workers had it", "they may not"])
def test_a_task_that_another_policy_routed_tells_nothing_of_either_but_belongs_to_its_arm(in_force_after_h, strayed):
    record = a_record(task_id=task_in(TREATMENT), policy="cosine-1", success=False)
    stage, outcomes = tallied(Stage(0.5), [record], ARMS, record.at + timedelta(hours=in_force_after_h))
    assert outcomes == []
    assert (stage.count(CONTROL), stage.count(TREATMENT), stage.came(CONTROL)) == (0, 0, 0)
    assert (stage.came(TREATMENT), stage.strayed(TREATMENT)) == (1, strayed)


# Tests under peeking


def running(values, mask, looks):
    """Moments of the masked values among the first n values, for each n of ``looks``."""
    kept = np.where(mask, values, 0.0)
    counts, sums, squares = (np.cumsum(part)[looks - 1] for part in (mask, kept, kept**2))
    means = sums / counts
    deviations = np.maximum(squares - counts * means**2, 0.0)
    return [Moments(*each) for each in zip(counts.tolist(), means.tolist(), deviations.tolist(), strict=True)]


def peeks(values_treated, values_control, in_treatment, metric, every):
    """The stages that someone sees who looks again after every few tasks."""
    values = np.where(in_treatment, values_treated, values_control)
    looks = np.arange(100, len(values) + 1, every)
    treated, control = running(values, in_treatment, looks), running(values, ~in_treatment, looks)
    return [
        Stage(0.5, {TREATMENT: {metric: mine}, CONTROL: {metric: other}})
        for mine, other in zip(treated, control, strict=True)
    ]


def test_heavy_tailed_latency_fools_nobody_either():
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(200):
        treated, control = np.log1p(rng.lognormal(3, 1.5, (2, 3000)))
        looks = peeks(treated, control, rng.random(3000) < 0.5, LATENCY, 25)
        found = [difference([look], LATENCY, 0.05, 0.2) for look in looks]
        alarms += any(not each.low <= 0 <= each.high for each in found)
    assert alarms / 200 <= 0.05


def test_before_the_burn_in_nothing_is_known():
    metrics = {arm: {LATENCY: Moments.of(np.full(count, 3.0))} for arm, count in ((TREATMENT, 49), (CONTROL, 5000))}
    found = difference([Stage(0.5, metrics)], LATENCY, 0.05, 0.2)
    assert (found.low, found.high) == (-math.inf, math.inf)


def test_a_fair_split_is_left_alone_however_often_one_looks():
    rng = np.random.default_rng(6)
    alarms = 0
    for _ in range(300):
        heads = np.cumsum(rng.random(4000) < 0.2)
        alarms += any(split_evidence(int(heads[n - 1]), n, 0.2) > 20 for n in range(10, 4001, 10))
    assert alarms / 300 <= 0.05


def test_a_split_that_loses_tasks_of_one_arm_is_seen():
    assert split_evidence(480, 1000, 0.5) < 20 < 1000 < split_evidence(4500, 10_000, 0.5)
    assert split_evidence(1, 10, 0.0) == math.inf
    assert split_evidence(0, 0, 0.5) == 1.0


# Decisions


def test_an_experiment_starts_with_its_smallest_share():
    verdict = decide(DESIGN, [])
    assert (verdict.action, verdict.treatment_share) == (Action.WIDEN, 0.01)


def test_a_stage_without_harm_is_widened_and_one_without_enough_tasks_waits():
    rng = np.random.default_rng(7)
    few = decide(DESIGN, [stage_of(0.01, coin(rng, 0.7, 60), coin(rng, 0.7, 5940))])
    assert (few.action, few.treatment_share) == (Action.WAIT, 0.01)
    enough = decide(DESIGN, [stage_of(0.01, coin(rng, 0.7, 110), coin(rng, 0.7, 10_890))])
    assert (enough.action, enough.treatment_share) == (Action.WIDEN, 0.05)


def test_a_gain_is_promoted():
    rng = np.random.default_rng(8)
    verdict = decide(DESIGN, [stage_of(0.5, coin(rng, 0.85, 3000), coin(rng, 0.7, 3000))])
    assert (verdict.action, verdict.treatment_share) == (Action.PROMOTE, 1.0)
    assert verdict.success.low > 0.05


def test_a_gain_that_changes_much_waits_for_a_person():
    rng = np.random.default_rng(9)
    stages = [stage_of(0.5, coin(rng, 0.85, 3000), coin(rng, 0.7, 3000))]
    asked = decide(DESIGN, stages, changed=0.6)
    assert (asked.action, asked.treatment_share) == (Action.ASK, 0.5)
    assert asked.success == decide(DESIGN, stages).success
    assert "60% of all choices" in asked.reason
    assert decide(DESIGN, stages, changed=0.6, approved=True).action is Action.PROMOTE


def test_a_loss_is_rolled_back_early():
    rng = np.random.default_rng(10)
    verdict = decide(DESIGN, [stage_of(0.05, coin(rng, 0.2, 100), coin(rng, 0.7, 1900))])
    assert (verdict.action, verdict.treatment_share) == (Action.ROLL_BACK, 0.0)
    assert "success falls" in verdict.reason


def test_a_guard_stops_a_treatment_that_succeeds_more_but_is_much_slower():
    rng = np.random.default_rng(11)
    latency = (rng.normal(4.0, 0.5, 2000), rng.normal(3.0, 0.5, 2000))
    verdict = decide(DESIGN, [stage_of(0.5, coin(rng, 0.9, 2000), coin(rng, 0.6, 2000), latency=latency)])
    assert verdict.action is Action.ROLL_BACK
    assert "log_latency" in verdict.reason


def test_a_guard_tolerates_what_it_tolerates():
    rng = np.random.default_rng(12)
    design = Design("e", "a", "b", guards=(Guard(COST, 0.5, 0.2),))
    cost = (rng.normal(1.3, 0.1, 3000), rng.normal(1.0, 0.1, 3000))
    verdict = decide(design, [stage_of(0.5, coin(rng, 0.9, 3000), coin(rng, 0.7, 3000), cost=cost)])
    assert verdict.action is Action.PROMOTE


@pytest.mark.parametrize(("strayed", "action"), [(250, Action.ROLL_BACK), (50, Action.WAIT)])
def test_a_treatment_that_workers_cannot_use_is_stopped_and_one_that_some_had_late_is_not(strayed, action):
    rng = np.random.default_rng(15)
    stage = stage_of(0.5, coin(rng, 0.7, 400), coin(rng, 0.7, 400 + strayed))
    stage = stage.merged(Stage(0.5, {TREATMENT: {STRAYED: Moments(strayed, 1.0, 0.0)}}))
    verdict = decide(DESIGN, [stage])
    assert verdict.action is action
    assert ("workers could not use it" in verdict.reason) is (action is Action.ROLL_BACK)


def test_a_broken_split_stops_everything_even_a_gain():
    rng = np.random.default_rng(13)
    verdict = decide(DESIGN, [stage_of(0.5, coin(rng, 0.95, 2000), coin(rng, 0.7, 4000))])
    assert verdict.action is Action.ROLL_BACK
    assert "not 50%" in verdict.reason


def test_no_difference_after_all_tasks_keeps_the_control():
    rng = np.random.default_rng(14)
    design = Design("e", "a", "b", max_tasks=4000)
    verdict = decide(design, [stage_of(0.5, coin(rng, 0.7, 2000), coin(rng, 0.7, 2000))])
    assert verdict.action is Action.ROLL_BACK
    assert "no gain found" in verdict.reason


@pytest.mark.parametrize("shares", [(), (0.5, 0.1), (0.0, 0.5), (0.5, 1.0), (0.1, 0.1)])
def test_a_canary_that_does_not_grow_or_leaves_no_control_is_refused(shares):
    with pytest.raises(ValueError, match="share"):
        Design("e", "a", "b", shares=shares)

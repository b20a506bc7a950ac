"""What planning remembers of past steps, and what it says where it remembers nothing."""

import numpy as np
import pytest
from planning_fleet import seen

from agents.planning.past import LAST_STEPS, PAIRS_MAX, SKILLS_MAX, UNMEASURED_MS, StepPast
from agents.planning.pasts import Pasts
from schemas.network import Interval, PlanEstimate

SOME = Interval(low=0.1, middle=0.5, high=0.9)
ESTIMATE = PlanEstimate(duration_ms=SOME, cost=SOME, quality=SOME, uncalibrated=0.5)


def test_an_unknown_skill_is_as_the_stated_prior_says() -> None:
    unknown = StepPast().step("nobody", "nothing")
    assert unknown.reliability == pytest.approx(0.9)
    assert unknown.latency_ms.middle == pytest.approx(UNMEASURED_MS)
    assert unknown.latency_ms.low < UNMEASURED_MS / 3 < 3 * UNMEASURED_MS < unknown.latency_ms.high


def test_a_newcomer_is_expected_to_be_as_reliable_as_the_fleet() -> None:
    good, poor = StepPast(), StepPast()
    for _ in range(200):
        good.learn(seen([("a", "s", 10.0, True)]))
        poor.learn(seen([("a", "s", 10.0, False)]))
    assert good.step("newcomer", "s").reliability > 0.95
    assert good.step("newcomer", "s").reliability > good.step("a", "s").reliability - 0.05
    assert poor.step("newcomer", "s").reliability < 0.5


def test_failures_lower_reliability_and_newer_outcomes_count_more() -> None:
    past = StepPast()
    for _ in range(30):
        past.learn(seen([("ocr", "read", 10.0, False)]))
    poor = past.step("ocr", "read")
    for _ in range(60):
        past.learn(seen([("ocr", "read", 10.0, True)]))
    assert poor.reliability < 0.25
    assert past.step("ocr", "read").reliability > 0.7


def test_doubt_is_the_variance_of_the_log_odds_and_falls_with_experience() -> None:
    past = StepPast()
    assert past.step("ocr", "read").doubt == pytest.approx(1 / 4.5 + 1 / 0.5)
    for number in range(40):
        past.learn(seen([("ocr", "read", 10.0, number % 2 == 0)]))
    assert past.step("ocr", "read").doubt < 0.3


def test_what_a_task_lacks_is_not_held_against_the_agent_that_says_so_nor_against_the_forecast() -> None:
    pasts, lacking = Pasts(), seen([("ocr", "read", 10.0, False)], failure_code="input_required")
    step = lacking.steps[0].model_copy(update={"error_code": "input_required"})
    lacking = lacking.model_copy(update={"steps": (step,), "estimate": ESTIMATE})
    for _ in range(30):
        pasts.learn(lacking)
    assert pasts.of("default").steps.step("ocr", "read") == StepPast().step("ocr", "read")
    assert pasts.of("default").calibration.forecasts == ()
    saved = seen([("ocr", "read", 10.0, True)], estimate=ESTIMATE)
    pasts.learn(saved.model_copy(update={"steps": (step, saved.steps[0].model_copy(update={"agent_id": "other"}))}))
    assert pasts.of("default").steps.step("ocr", "read").seen == 1
    assert len(pasts.of("default").calibration.forecasts) == 1


def test_the_interval_holds_eight_of_ten_steps() -> None:
    rng, past, inside = np.random.default_rng(0), StepPast(), 0
    for ms in np.exp(rng.normal(5.0, 0.6, LAST_STEPS)):
        past.learn(seen([("ocr", "read", float(ms), True)]))
    interval = past.step("ocr", "read").latency_ms
    new = np.exp(rng.normal(5.0, 0.6, 2000))
    inside = float(np.mean((new >= interval.low) & (new <= interval.high)))
    assert 0.65 <= inside <= 0.92


def test_a_handover_that_goes_wrong_more_often_than_usual_counts_against_it() -> None:
    past = StepPast()
    for _ in range(12):
        past.learn(seen([("a", "s", 1.0, True), ("b", "s", 1.0, False)]))
        past.learn(seen([("c", "s", 1.0, True), ("b", "s", 1.0, True)]))
    assert past.handover(("a", "s"), ("b", "s")) < 0 < past.handover(("c", "s"), ("b", "s"))
    assert past.handover(("x", "s"), ("b", "s")) == 0.0


def test_the_past_is_bounded() -> None:
    past = StepPast()
    for number in range(SKILLS_MAX + 20):
        past.learn(seen([(f"agent-{number}", "s", 1.0, False)]))
    assert past.step("agent-0", "s").seen == 0
    assert past.step(f"agent-{SKILLS_MAX + 19}", "s").seen == 1


def test_a_worker_that_starts_knows_what_others_wrote_down() -> None:
    one, other = Pasts(), Pasts()
    for ms in (10.0, 20.0, 30.0):
        one.learn(seen([("a", "s", ms, True), ("b", "s", ms, False)]))
    other.restore(one.snapshot("default"))
    for agent in ("a", "b"):
        assert other.of("default").steps.step(agent, "s") == one.of("default").steps.step(agent, "s")
    other.learn(seen([("a", "s", 10.0, True)]))
    known = other.of("default").steps.step("a", "s")
    other.restore(one.snapshot("default"))
    assert other.of("default").steps.step("a", "s") == known, "an older snapshot takes nothing back"


@pytest.mark.parametrize("ok", [True, False])
def test_however_long_nothing_changes_the_next_step_is_not_certain(ok: bool) -> None:
    past, outcome = StepPast(), seen([("a", "s", 10.0, ok)])
    past.restore(past.snapshot("t", ()).model_copy(update={"usual": (200.0 * ok, 200.0 * (not ok))}))  # all has faded
    for _ in range(3_000):
        past.learn(outcome)
    for step in (past.step("a", "s"), past.step("newcomer", "s")):
        assert 0.0 < step.reliability < 1.0
        assert np.isfinite(step.doubt)


def test_all_that_is_remembered_fits_into_one_message_of_a_bus_as_it_is_installed() -> None:
    """NATS takes 1 MiB unless it is told otherwise."""
    pasts, rng = Pasts(), np.random.default_rng(0)
    skills = [(f"agent-number-{place}", "does_some_work") for place in range(SKILLS_MAX)]
    for step in range(LAST_STEPS + 1):
        order = rng.permutation(SKILLS_MAX).reshape(-1, 10)
        for row in order.tolist():
            steps = [(*skills[place], float(np.exp(rng.normal(5.0, 2.0))), step % 3 > 0) for place in row]
            record = seen(steps, cost=float(np.exp(rng.normal(-5.0, 2.0))))
            pasts.learn(record.model_copy(update={"estimate": ESTIMATE}))
    past = pasts.snapshot("default")
    assert (len(past.skills), len(past.pairs)) == (SKILLS_MAX, PAIRS_MAX)
    assert len(past.model_dump_json().encode()) < 900 * 1024

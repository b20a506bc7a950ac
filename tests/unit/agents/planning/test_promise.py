"""The chance of success that a plan promises is calibrated, and says how sure it is."""

import numpy as np
from planning_fleet import seen
from scipy.special import expit, logit

from agents.planning.past import StepPast
from agents.planning.promise import Calibration, promise_of

NETWORK = seen([("a", "s", 1.0, True), ("b", "s", 1.0, True)]).network


def test_without_experience_the_guess_is_taken_at_its_word() -> None:
    promise = promise_of(NETWORK, {"a": 0.8}, StepPast(), Calibration())
    assert promise.quality.middle == promise.guess
    assert promise.quality.low < promise.guess - 0.1
    assert promise.steps_seen == 0


def test_doubt_about_the_steps_widens_what_is_promised_and_moves_nothing() -> None:
    sure, unsure = (Calibration().calibrated(0.7, doubt) for doubt in (0.0, 4.0))
    assert unsure.middle == sure.middle
    assert unsure.low < sure.low - 0.1
    assert unsure.high > sure.high + 0.05


def test_experience_of_failure_lowers_the_promise() -> None:
    past = StepPast()
    for _ in range(10):
        past.learn(seen([("a", "s", 1.0, True), ("b", "s", 1.0, False)]))
    fresh = promise_of(NETWORK, {}, StepPast(), Calibration())
    assert promise_of(NETWORK, {}, past, Calibration()).quality.middle < fresh.quality.middle / 2


def test_overconfident_guesses_are_corrected() -> None:
    rng, calibration = np.random.default_rng(1), Calibration()
    guesses = rng.uniform(0.5, 0.98, 800)
    truth = expit(0.7 * logit(guesses) - 1.0)
    for guess, chance in zip(guesses[:400], truth[:400], strict=True):
        calibration.learn(float(guess), success=bool(rng.random() < chance))
    told = np.array([calibration.calibrated(float(guess), 0.0).middle for guess in guesses[400:]])
    assert np.abs(told - truth[400:]).mean() < 0.06 < np.abs(guesses[400:] - truth[400:]).mean()


def test_eight_of_ten_intervals_hold_the_truth() -> None:
    held = []
    for seed in range(40):
        rng, calibration = np.random.default_rng(seed), Calibration()
        offset, slope = rng.normal(0.0, 1.0), max(0.1, rng.normal(1.0, 0.5))
        for guess in rng.uniform(0.3, 0.95, 64):
            calibration.learn(float(guess), success=bool(rng.random() < expit(offset + slope * logit(guess))))
        for guess in (0.5, 0.7, 0.9):
            interval = calibration.calibrated(guess, 0.0)
            held.append(interval.low <= expit(offset + slope * logit(guess)) <= interval.high)
    assert 0.68 <= np.mean(held) <= 0.92


def test_a_higher_guess_never_promises_less() -> None:
    calibration = Calibration()
    for guess, success in [(0.9, False), (0.2, True)] * 40:
        calibration.learn(guess, success=success)
    assert calibration.calibrated(0.9, 0.0).middle >= calibration.calibrated(0.2, 0.0).middle

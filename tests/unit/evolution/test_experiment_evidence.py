"""What outcomes between 0 and 1 say of an experiment: never too much, however often one looks, judged late or not."""

import math
from functools import cache

import numpy as np
import pytest
from scipy.integrate import quad

from evolution.experiments.evidence import NOTHING, UNKNOWN, bound, log_odds, recent_means
from evolution.experiments.tallies import JUDGED, SUCCESS, Outcome, Stage, concluded
from schemas.assignment import CONTROL, TREATMENT

ALPHA, EXPECTED, TIGHTEST = 0.05, 0.05, 4.0


def coin(rng, chance, count):
    return (rng.random(count) < chance).astype(float)


def graded(rng, count):
    """Most say 0.9 or so, a few 0."""
    return np.where(rng.random(count) < 0.9, rng.beta(18, 2, count), 0.0)


GRID = np.linspace(0.0, 40.0, 300) ** 2


@cache
def bounds() -> np.ndarray:
    return np.array([bound(float(at), ALPHA / 2, TIGHTEST) for at in GRID])


def excludes_zero(squares, excess) -> np.ndarray:
    """At which of these moments the interval leaves out that the arms are alike."""
    # The bound is concave: between two of the grid's points it lies above the chord, so no alarm is missed.
    return np.abs(excess) > np.interp(squares, GRID, bounds())


def walked(outcomes, treated, share) -> tuple[np.ndarray, np.ndarray]:
    """Squares and excess after every task, by the definition."""
    steps = (treated - share) * (outcomes - recent_means(outcomes, 0.5, 0)[:-1])
    return np.cumsum(steps**2), np.cumsum(steps)


def textbook(outcomes, treated) -> bool:
    """Whether a z-test at 5 % calls the arms different at one of a hundred looks."""
    looks = np.linspace(200, len(outcomes), 100).astype(int)
    return any(
        abs(mine.mean() - other.mean()) > 1.96 * math.sqrt(mine.var() / len(mine) + other.var() / len(other))
        for n in looks
        for mine, other in [(outcomes[:n][treated[:n]], outcomes[:n][~treated[:n]])]
    )


WORLDS = {
    "coins": lambda rng, n: coin(rng, 0.7, n),
    "rare failures": lambda rng, n: coin(rng, 0.9, n),
    "grades": graded,
    "all or nothing": lambda rng, n: rng.beta(0.5, 0.5, n),
    "a world that gets worse": lambda rng, n: coin(rng, np.linspace(0.95, 0.4, n), n),
}


@pytest.mark.parametrize("share", [0.5, 0.05])
@pytest.mark.parametrize("world", WORLDS)
def test_someone_who_looks_after_every_task_is_fooled_in_at_most_5_percent_of_experiments(world, share):
    rng, runs, alarms = np.random.default_rng(20261122), 200, 0
    for _ in range(runs):
        treated = rng.random(4000) < share
        alarms += excludes_zero(*walked(WORLDS[world](rng, 4000), treated, share)).any()
    assert alarms / runs <= ALPHA


@pytest.mark.parametrize("drift", [(0.95, 0.4), (0.4, 0.95)], ids=["worse", "better"])
def test_a_world_that_changes_while_every_eighth_task_of_the_candidate_goes_astray_fools_nobody(drift):
    rng, runs, alarms = np.random.default_rng(12), 150, 0
    for _ in range(runs):
        treated = rng.random(8000) < 0.5
        counted = ~treated | (rng.random(8000) > 1 / 8)
        outcomes = coin(rng, np.linspace(*drift, 8000), 8000)
        alarms += excludes_zero(*walked(outcomes[counted], treated[counted], 0.5)).any()
    assert alarms / runs <= ALPHA


def test_the_mean_is_plain_at_first_and_then_follows_the_recent_outcomes():
    outcomes = np.concatenate([np.ones(99), np.zeros(2000)])
    means = recent_means(outcomes, 0.5, 0)
    assert (means[0], means[1], means[99]) == pytest.approx((0.5, 0.75, 99.5 / 100))
    assert means[99 + 2000] < 0.001
    assert recent_means(outcomes[50:], means[50], 50) == pytest.approx(means[50:])


def test_someone_who_looks_at_the_textbook_test_is_fooled_often():
    rng = np.random.default_rng(1)
    fooled = sum(textbook(graded(rng, 3000), rng.random(3000) < 0.5) for _ in range(100))
    assert fooled > 20  # the simulations above can tell


@pytest.mark.parametrize("share", [0.5, 0.05])
@pytest.mark.parametrize(("delay", "judged"), [(300, 0.3), (3000, 1.0)], ids=["soon, some", "late, all"])
def test_judgements_that_come_late_fool_nobody_either(share, delay, judged):
    """Every task succeeds; what people say has nothing to do with the arm; a look knows what was said by then."""
    rng, runs, alarms, n = np.random.default_rng(7), 120, 0, 3000
    for _ in range(runs):
        treated, said = rng.random(n) < share, coin(rng, 0.5, n)
        comes = np.where(rng.random(n) < judged, np.arange(n) + rng.exponential(delay, n), math.inf)
        looks = []
        for look in np.geomspace(100, 3 * n, 30).astype(int):
            known = np.where(comes <= look, said, 1.0)[:look]
            looks.append(NOTHING.after(known, treated[:look], share))
        seen = np.array([[look.squares, look.excess] for look in looks]).T
        alarms += excludes_zero(*seen).any()
    assert alarms / runs <= ALPHA


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_the_interval_holds_a_real_difference_at_every_look(share):
    rng, missed = np.random.default_rng(2), 0
    for _ in range(60):
        treated = rng.random(4000) < share
        outcomes = np.where(treated, coin(rng, 0.9, 4000), graded(rng, 4000))
        looks = [NOTHING.after(outcomes[:n], treated[:n], share) for n in range(200, 4001, 200)]
        truth = 0.9 - 0.9 * 0.9
        missed += any(not each.low <= truth <= each.high for each in (look.difference(ALPHA, 0.05) for look in looks))
    assert missed <= 3


def test_a_real_gain_is_found_though():
    rng, found = np.random.default_rng(3), 0
    for _ in range(50):
        treated = rng.random(6000) < 0.5
        outcomes = np.where(treated, coin(rng, 0.78, 6000), coin(rng, 0.70, 6000))
        found += NOTHING.after(outcomes, treated, 0.5).difference(ALPHA, EXPECTED).low > 0
    assert found >= 45


def test_a_canary_of_one_percent_sees_a_great_harm():
    rng = np.random.default_rng(4)
    treated = rng.random(10_000) < 0.01
    outcomes = np.where(treated, coin(rng, 0.4, 10_000), coin(rng, 0.9, 10_000))
    assert NOTHING.after(outcomes, treated, 0.01).difference(ALPHA, EXPECTED).high < 0


def test_of_no_or_few_tasks_nothing_is_known_even_if_one_arm_only_ever_won():
    assert NOTHING.difference(ALPHA, EXPECTED) == UNKNOWN
    treated = np.arange(30) % 2 == 0
    assert NOTHING.after(treated.astype(float), treated, 0.5).difference(ALPHA, EXPECTED) == UNKNOWN
    won = NOTHING.after(np.ones(120), np.arange(120) % 2 == 0, 0.5).difference(ALPHA, EXPECTED)
    assert won.low < -0.05 < 0.05 < won.high


def test_a_canary_that_grows_while_the_world_gets_worse_is_not_blamed_for_it():
    rng = np.random.default_rng(5)
    narrow, wide = rng.random(10_000) < 0.05, rng.random(10_000) < 0.5
    good, bad = coin(rng, 0.9, 10_000), coin(rng, 0.5, 10_000)
    found = NOTHING.after(good, narrow, 0.05).merged(NOTHING.after(bad, wide, 0.5)).difference(ALPHA, EXPECTED)
    assert found.low < 0 < found.high
    outcomes, treated = np.concatenate([good, bad]), np.concatenate([narrow, wide])
    assert outcomes[treated].mean() - outcomes[~treated].mean() < -0.1  # what pooling would have said


def test_tasks_in_several_lots_say_what_they_say_at_once():
    rng = np.random.default_rng(6)
    outcomes, treated = graded(rng, 500), rng.random(500) < 0.2
    lots = NOTHING.after(outcomes[:0], treated[:0], 0.2).after(outcomes[:123], treated[:123], 0.2)
    lots = lots.after(outcomes[123:], treated[123:], 0.2)
    squares, excess = walked(outcomes, treated, 0.2)
    assert lots.count == 500
    assert (lots.squares, lots.excess) == pytest.approx((squares[-1], excess[-1]))
    assert lots.weight == pytest.approx(500 * 0.16)


@pytest.mark.parametrize(("excess", "squares"), [(0.0, 0.0), (5.0, 3.0), (30.0, 80.0), (-2.0, 10.0)])
def test_the_odds_are_the_mixture_that_they_claim_to_be(excess, squares):
    def weight(rest):
        return rest ** (TIGHTEST - 1) * math.exp(-TIGHTEST * rest)

    def wealth(rest):
        return weight(rest) * math.exp((1 - rest) * excess + (math.log(rest) + 1 - rest) * squares)

    expected = math.log(quad(wealth, 0, 1)[0] / quad(weight, 0, 1)[0])
    assert log_odds(excess, squares, TIGHTEST) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("squares", [0.0, 0.3, 40.0, 1e6])
def test_the_bound_is_where_the_odds_reach_one_to_alpha(squares):
    assert log_odds(bound(squares, 0.025, TIGHTEST), squares, TIGHTEST) == pytest.approx(math.log(40), abs=1e-6)


# What people say


def outcomes_of(*kinds: str) -> list[Outcome]:
    """``t1``: a task of treatment that succeeded; its id is its place."""
    return [Outcome(str(place), kind[0] == "t", kind[1] == "1") for place, kind in enumerate(kinds)]


def test_what_people_said_of_a_task_counts_instead_of_its_success_in_its_arm_alone():
    done = outcomes_of("t1", "t1", "t0", "c1", "c0")
    stage = concluded(Stage(0.5), done, {"0": 0.0, "2": 0.75, "4": 1.0, "elsewhere": 0.5})
    assert (stage.count(TREATMENT), stage.judged(TREATMENT)) == (3, 2)
    assert (stage.count(CONTROL), stage.judged(CONTROL)) == (2, 1)
    assert stage.moments(TREATMENT, SUCCESS).mean == pytest.approx((0.0 + 1.0 + 0.75) / 3)
    assert stage.moments(TREATMENT, JUDGED).mean == pytest.approx(0.375)
    assert stage.moments(CONTROL, SUCCESS).mean == 1.0


def test_a_tally_with_judgements_is_that_of_tasks_that_came_to_as_much():
    rng = np.random.default_rng(8)
    kinds = [f"{'tc'[int(a)]}{int(b)}" for a, b in zip(rng.random(300) < 0.5, rng.random(300) < 0.7, strict=True)]
    done = outcomes_of(*kinds)
    turned = {one.task_id: float(not one.success) for one in done[::3]}
    known = [one._replace(success=bool(turned.get(one.task_id, one.success))) for one in done]
    judged, plain = concluded(Stage(0.5), done, turned), concluded(Stage(0.5), known, {})
    assert judged.evidence == plain.evidence
    for arm in (TREATMENT, CONTROL):
        assert judged.moments(arm, SUCCESS) == plain.moments(arm, SUCCESS)
    assert judged.judged(TREATMENT) + judged.judged(CONTROL) == 100
    assert concluded(judged, [], turned) == judged

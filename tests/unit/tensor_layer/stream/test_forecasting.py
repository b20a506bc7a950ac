"""The recurrent forecaster, and whether it earns its keep beside the Markov chain."""

import random

import numpy as np

from tensor_layer.stream.contest import GOOD_ENOUGH, JUDGED, TRIAL_USES, Contest
from tensor_layer.stream.gru import STEPS, Gru
from tensor_layer.stream.markov import Markov

LONG_MEMORY = "xxxyxxxz"
"""After two x only what came five steps before tells whether x, y or z follows."""


def hits(forecaster, keys) -> float:
    right = 0
    for key in keys:
        ahead = forecaster.ahead(1)
        right += bool(ahead) and ahead[0][0] == key
        forecaster.saw(key)
    return right / len(keys)


def test_of_too_many_keys_the_recurrent_forecaster_lets_go_who_was_used_longest_ago():
    gru = Gru(keys_max=3)
    for key in "abcad":
        gru.saw(key)
    assert sorted(filter(None, gru._keys)) == ["a", "c", "d"]


def test_every_weight_of_the_recurrent_forecaster_has_a_place_of_its_own():
    gru = Gru(keys_max=16)
    for flat, named in ((gru._weights, gru._w), (gru._gradient, gru._g)):
        for number, matrix in enumerate(named.values()):
            matrix[:] = number
        assert sorted({*flat.tolist()}) == list(range(len(named)))
        assert [set(matrix.ravel().tolist()) for matrix in named.values()] == [{n} for n in range(len(named))]


def test_the_recurrent_forecaster_learns_what_two_steps_back_cannot_tell():
    gru, markov = Gru(), Markov()
    hits(gru, LONG_MEMORY * 120)
    hits(markov, LONG_MEMORY * 120)

    assert hits(gru, LONG_MEMORY * 10) > 0.95
    assert hits(markov, LONG_MEMORY * 10) < 0.9


def test_its_gradient_is_the_slope_of_its_loss():
    gru = Gru(keys_max=5, seed=3)
    windows = np.random.default_rng(2).integers(0, 5, (3, STEPS + 1))

    def loss() -> float:
        states, _ = gru._forward(windows)
        scores = (np.concatenate(states) @ gru._w["output"] + gru._w["prior"]).astype(np.float64)
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return float(-logs[np.arange(len(logs)), windows[:, 1:].T.reshape(-1)].mean())

    gru._backward(windows, *gru._forward(windows))
    slopes, step = [], 1e-2
    places = np.random.default_rng(4).choice(gru._weights.size, 60, replace=False)
    for place in places:
        kept = gru._weights[place]
        gru._weights[place] = kept + step
        above = loss()
        gru._weights[place] = kept - step
        slopes.append((above - loss()) / (2 * step))
        gru._weights[place] = kept

    np.testing.assert_allclose(gru._gradient[places], slopes, atol=2e-4)


def test_more_keys_than_it_has_room_for_are_forgotten_oldest_first():
    gru = Gru(keys_max=4)
    for number in range(100):
        gru.saw(str(number))

    assert list(gru._slots) == ["96", "97", "98", "99"]
    assert all(key in gru._slots for key, _ in gru.ahead(3))


def test_before_anything_was_used_nothing_is_forecast():
    assert Contest(Markov(), Gru()).ahead(4) == []


def test_the_costly_forecaster_takes_over_where_the_cheap_one_fails_and_then_practises_less():
    contest = Contest(Markov(), Gru())
    hits(contest, LONG_MEMORY * 150)

    trained = contest.trained_uses
    assert contest.costly_leads
    assert hits(contest, LONG_MEMORY * 20) > 0.95
    assert contest.trained_uses - trained < 80


def test_the_costly_forecaster_sleeps_while_the_cheap_one_is_right():
    contest = Contest(Markov(), Gru())
    cycle = [str(number) for number in range(20)] * 60
    hits(contest, cycle[:200])
    trained = contest.trained_uses

    assert hits(contest, cycle[200:]) > GOOD_ENOUGH
    assert contest.trained_uses == trained < JUDGED
    assert not contest.awake


def test_on_noise_the_costly_forecaster_gives_up():
    class Blind(Markov):
        def remember(self, key: str) -> None: ...

        def ahead(self, steps: int) -> list[tuple[str, float]]:
            return []

    rng, contest = random.Random(8), Contest(Markov(), Blind())
    hits(contest, [str(rng.randrange(50)) for _ in range(20_000)])

    assert contest.trained_uses == TRIAL_USES
    assert not contest.awake

"""Routing among generalists when only some of them were tried on each prompt."""

import json

import numpy as np
import pytest

from agents.matching.evaluation import route_bench
from agents.matching.evaluation.json_lines import RowsInvalid
from agents.matching.evaluation.rows import OutcomeRows, read_outcomes
from agents.matching.learning import guard, routing
from agents.matching.learning.outcomes import Outcomes
from agents.matching.learning.prompts import Describer
from agents.matching.learning.routing import Prompts

WIDTH = 16
NAN = float("nan")


class Generalists:
    """Three agents: the second is best overall, the others each lead on one of four kinds of prompt."""

    def __init__(self, seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        kinds = self.rng.normal(size=(4, WIDTH))
        self.kinds = kinds / np.linalg.norm(kinds, axis=1, keepdims=True)
        self.chance = np.array([[0.9, 0.4, 0.1], [0.2, 0.8, 0.2], [0.1, 0.8, 0.2], [0.1, 0.4, 0.9]])

    def ask(self, rows: int, missing: float = 0.0) -> tuple[Prompts, np.ndarray]:
        kind = self.rng.integers(0, 4, rows)
        vectors = self.kinds[kind] + 0.3 * self.rng.normal(size=(rows, WIDTH)) / np.sqrt(WIDTH)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        scores = (self.rng.random((rows, 3)) < self.chance[kind]).astype(np.float32)
        hidden = self.rng.random((rows, 3)) < missing
        hidden[np.arange(rows), self.rng.integers(0, 3, rows)] = False
        scores[hidden] = np.nan
        prompts = Prompts(vectors.astype(np.float32), tuple(f"kind {one} please" for one in kind))
        return prompts, scores


def mean_score(scores: np.ndarray, chosen: np.ndarray) -> float:
    return float(scores[np.arange(len(scores)), chosen].mean())


@pytest.mark.parametrize("missing", [0.0, 0.5, 0.8])
def test_what_was_not_tried_does_not_stop_learning(missing: float):
    fleet = Generalists()
    router = routing.fit(*fleet.ask(600, missing))
    asked, truth = fleet.ask(400)
    assert router.best == 1
    assert mean_score(truth, router.choose(asked)) > truth[:, 1].mean() + 0.1


def test_an_agent_tried_on_easy_prompts_alone_is_not_the_best():
    scores = np.array([[0.9, 0.8]] * 50 + [[0.5, NAN]] * 100, dtype=np.float32)
    assert np.nanmean(scores, axis=0).argmax() == 1
    assert Outcomes.of(scores).best == 0


def test_one_lucky_outcome_does_not_make_the_best_agent():
    scores = np.full((200, 2), np.nan, dtype=np.float32)
    scores[:, 0] = np.arange(200) % 5 > 0
    scores[1, 1] = 1.0
    assert Outcomes.of(scores).best == 0


def test_with_all_outcomes_known_levels_are_means():
    scores = np.random.default_rng(0).random((50, 4)).astype(np.float32)
    assert Outcomes.of(scores).levels == pytest.approx(scores.mean(axis=0), abs=1e-6)


def test_only_who_is_available_is_chosen():
    fleet = Generalists()
    router = routing.fit(*fleet.ask(300))
    asked, truth = fleet.ask(200, missing=0.6)
    available = ~np.isnan(truth)
    for costs in (None, np.array([0.0, 0.5, 0.1], dtype=np.float32)):
        chosen = router.choose(asked, costs, available)
        assert available[np.arange(200), chosen].all()


@pytest.mark.parametrize("rows", [1, 2, 39, 45])
def test_few_prompts_are_routed_to_the_best_single_agent_or_better(rows: int):
    fleet = Generalists()
    asked, _ = fleet.ask(5)
    assert routing.fit(*fleet.ask(rows, missing=0.5)).choose(asked).shape == (5,)


@pytest.mark.parametrize(("better_on", "followed"), [(10, False), (40, True)])
def test_a_gain_on_a_handful_of_prompts_is_not_followed_however_sure_it_looks(better_on: int, followed: bool):
    prompts, _ = Generalists().ask(400)
    described = Describer.fit(prompts.texts).describe(prompts)
    scores = np.tile(np.array([0.5, 0.0], dtype=np.float32), (400, 1))
    scores[np.random.default_rng(0).permutation(400)[:better_on], 1] = 1.0

    def foresees(_learned, asked):
        return scores[asked], np.zeros(len(asked), dtype=np.float32)

    trusted = guard.fit(described, Outcomes.of(scores), foresees, seed=0)
    trust = trusted.trusts(np.full(1, 0.5, dtype=np.float32), np.zeros(1, dtype=np.float32))
    assert bool(trust[0]) is followed


def lines(path, rows: list[dict]):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_null_and_absent_outcomes_both_mean_not_tried(tmp_path):
    rows = read_outcomes(
        lines(
            tmp_path / "rows.jsonl",
            [
                {"prompt": "one", "outcomes": {"a": 1, "b": None}},
                {"prompt": "two", "outcomes": {"b": 0.5}},
                {"prompt": "three", "outcomes": {"a": None}},
            ],
        )
    )
    assert rows.outcomes == ({"a": 1.0}, {"b": 0.5})
    assert "no agent has an outcome" in rows.notes[0]


def test_a_file_without_any_outcome_is_refused(tmp_path):
    with pytest.raises(RowsInvalid, match="no rows with an outcome"):
        read_outcomes(lines(tmp_path / "rows.jsonl", [{"prompt": "one", "outcomes": {}}]))


def measured(tmp_path, train: list[dict], test: list[dict]):
    past, asked = read_outcomes(lines(tmp_path / "a.jsonl", train)), read_outcomes(lines(tmp_path / "b.jsonl", test))
    vectors = [np.eye(len(rows.prompts), WIDTH, dtype=np.float32) for rows in (past, asked)]
    return route_bench.measure(past, asked, (vectors[0], vectors[1]), seed=0)


def test_a_missing_outcome_is_neither_a_failure_nor_a_success(tmp_path):
    train = [{"prompt": f"p{n}", "outcomes": {"good": 1, "bad": 0}} for n in range(4)]
    test = [
        {"prompt": "x", "outcomes": {"good": 1}},
        {"prompt": "y", "outcomes": {"bad": 0.5}},
        {"prompt": "z", "outcomes": {"stranger": 1}},
    ]
    figures = measured(tmp_path, train, test)
    assert (figures.best_single_agent, figures.best_single) == ("good", 0.75)
    assert figures.mean_score == figures.oracle == figures.random == 0.75
    assert any("unknown agents only" in note for note in figures.notes)
    assert any("missing" in note for note in figures.notes)


@pytest.mark.parametrize(("scale", "shift"), [(100.0, 0.0), (40.0, -20.0)])
def test_scores_on_another_scale_are_routed_as_shares_are(scale: float, shift: float):
    fleet = Generalists()
    (past, scores), (asked, truth) = fleet.ask(600), fleet.ask(200)

    def figures(factor: float, shift: float):
        rows = [
            OutcomeRows(prompts.texts, tuple(dict(zip("abc", row, strict=True)) for row in (known * factor + shift)))
            for prompts, known in ((past, scores.astype(float)), (asked, truth.astype(float)))
        ]
        return route_bench.measure(rows[0], rows[1], (past.vectors, asked.vectors), seed=0)

    shares, other = figures(1.0, 0.0), figures(scale, shift)
    assert shares.followed > 0.2
    for name in ("mean_score", "best_single", "oracle", "random"):
        assert getattr(other, name) == pytest.approx(getattr(shares, name) * scale + shift, abs=1e-4)
    assert [point["cost"] for point in other.curve] == [point["cost"] for point in shares.curve]


def test_no_agent_in_common_is_an_error(tmp_path):
    with pytest.raises(RowsInvalid, match="nothing to choose from"):
        measured(tmp_path, [{"prompt": "p", "outcomes": {"a": 1}}], [{"prompt": "q", "outcomes": {"b": 1}}])


@pytest.mark.parametrize("seed", range(3))
def test_kinds_never_seen_are_left_to_the_best_single_agent(seed: int):
    """Agents that lead on known kinds fail on new ones: whoever follows them there falls below the best single one."""
    fleet = Generalists(seed)
    router = routing.fit(*fleet.ask(400))
    new = np.random.default_rng(seed + 100).normal(size=(200, WIDTH))
    new -= new @ fleet.kinds.T @ np.linalg.pinv(fleet.kinds @ fleet.kinds.T) @ fleet.kinds
    vectors = (new / np.linalg.norm(new, axis=1, keepdims=True)).astype(np.float32)
    strange = Prompts(vectors, tuple(f"never heard of {number}" for number in range(200)))
    assert (router.choose(strange) == router.best).mean() > 0.95


def test_noise_is_not_followed():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, WIDTH)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = (rng.random((300, 4)) < np.array([0.5, 0.4, 0.4, 0.45])).astype(np.float32)
    router = routing.fit(Prompts(vectors, tuple(f"do {number}" for number in range(300))), scores)
    asked = Prompts(vectors[::-1].copy(), tuple(f"do {number}" for number in range(300)))
    assert (router.choose(asked) == router.best).mean() > 0.9

"""The figures of the learning benchmark: success by task count, of whom each policy puts first and of whole tasks."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning_fleet import DRIFT_AT, NEWCOMERS, NEWCOMERS_AT, FleetTruth, Work
from benchmarks.learning_simulation import card_vectors
from schemas.experience import ExperienceRecord

WINDOW = 500
RECOVERY_WINDOW = 100
ATTEMPTS = 3
"""The agent put first, and two that stand in."""
Floats = NDArray[np.float64]
Figures = dict[str, float | int | str | list[float] | None]


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """(tasks,) each: the success of what each policy chooses, and of the oracle's choice."""

    learned: Floats
    static: Floats
    oracle: Floats
    truth: Floats
    """(tasks, agents) chance of success of every agent: for the best single one."""


def curves_of(first: dict[int, int], vectors: NDArray[np.float32], work: Work, truth: FleetTruth, seed: int) -> Curves:
    """Chances of the agents that were put first, by task number; a task that found nobody has none."""
    chances, places = _chances(work, truth), np.arange(len(work.rows))
    static = chances[places, _nearness(vectors, work, truth, seed).argmax(axis=0)]
    learned = np.array([chances[task, first[task]] if task in first else 0.0 for task in places])
    return Curves(learned, static, chances.max(axis=1), chances)


def whole_curves_of(
    records: Mapping[int, ExperienceRecord], vectors: NDArray[np.float32], work: Work, truth: FleetTruth, seed: int
) -> Curves:
    """Of whole tasks, as clients see them: whoever fails is stood in for, twice at most.

    Learned is what happened, 0 or 1; static and oracle are the chances of who asks the three nearest cards and the best
    three.
    """
    chances = _chances(work, truth)
    done = np.array([float(task in records and records[task].success) for task in range(len(work.rows))])
    nearest = np.argsort(-_nearness(vectors, work, truth, seed), axis=0, kind="stable")[:ATTEMPTS].T
    static = _one_of(np.take_along_axis(chances, nearest, axis=1))
    return Curves(done, static, _one_of(np.sort(chances, axis=1)[:, -ATTEMPTS:]), chances)


def _chances(work: Work, truth: FleetTruth) -> Floats:
    """(tasks, agents)."""
    kinds = work.kinds[work.rows]
    return np.stack([truth.strengths(task)[:, kinds[task]] for task in range(len(kinds))])


def _nearness(vectors: NDArray[np.float32], work: Work, truth: FleetTruth, seed: int) -> NDArray[np.float32]:
    """(agents, tasks) cosine of the nearest example of each card; -1 before its agent came."""
    cards = card_vectors(vectors, work, truth, seed)
    nearness = np.stack([(vectors[work.rows] @ card.T).max(axis=1) for card in cards])
    nearness[-NEWCOMERS:, :NEWCOMERS_AT] = -1.0
    return nearness


def _one_of(chances: Floats) -> Floats:
    """(tasks,) that at least one of those asked succeeds."""
    missed: Floats = np.prod(1.0 - chances, axis=1)
    return 1.0 - missed


def figures(curves: Curves) -> Figures:
    """What the bars are about, of either kind of curves. Shares of the oracle's success unless said otherwise."""
    tasks = len(curves.learned)
    shares = [
        round(float(curves.learned[start : start + WINDOW].mean() / curves.oracle[start : start + WINDOW].mean()), 3)
        for start in range(0, tasks, WINDOW)
    ]
    found: Figures = {"tasks": tasks, f"learned_by_{WINDOW}": shares}
    for name, start, end in (
        ("first_500", 0, 500),
        ("before_drift", 2_000, DRIFT_AT),
        ("500_to_600_after_drift", DRIFT_AT + 500, DRIFT_AT + 600),
        ("last_500", tasks - 500, tasks),
    ):
        if end <= tasks and start >= 0:
            oracle = curves.oracle[start:end].mean()
            found[f"learned_{name}"] = round(float(curves.learned[start:end].mean() / oracle), 4)
            found[f"static_{name}"] = round(float(curves.static[start:end].mean() / oracle), 4)
    found["tasks_from_drift_to_85_percent"] = _recovered(curves)
    found["worst_window_against_best_single"] = round(_worst_window(curves), 4)
    return found


def _recovered(curves: Curves) -> int | None:
    """Tasks after the drift until a window of ``RECOVERY_WINDOW`` reaches 85 % of the oracle; None: never."""
    for end in range(DRIFT_AT + RECOVERY_WINDOW, len(curves.learned) + 1):
        window = slice(end - RECOVERY_WINDOW, end)
        if curves.learned[window].mean() >= 0.85 * curves.oracle[window].mean():
            return end - DRIFT_AT
    return None


def _worst_window(curves: Curves) -> float:
    """Least lead over the agent that would have been the best single one in that window, in hindsight."""
    leads = [
        curves.learned[start : start + WINDOW].mean() - curves.truth[start : start + WINDOW].mean(axis=0).max()
        for start in range(0, len(curves.learned) - WINDOW + 1, 50)
    ]
    return float(min(leads)) if leads else 0.0

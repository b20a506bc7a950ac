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
    """(tasks,) each: the chance of success of whom each policy puts first, and of the oracle's choice."""

    learned: Floats
    static: Floats
    oracle: Floats
    truth: Floats
    """(tasks, agents) of every agent: for the best single one."""


def curves_of(first: dict[int, int], vectors: NDArray[np.float32], work: Work, truth: FleetTruth, seed: int) -> Curves:
    """Of the agents that were put first, by task number; a task that found nobody has no chance."""
    kinds = work.kinds[work.rows]
    tasks = len(work.rows)
    chances = np.stack([truth.strengths(task)[:, kinds[task]] for task in range(tasks)])
    nearness = np.stack(
        [(vectors[work.rows] @ card.T).max(axis=1) for card in card_vectors(vectors, work, truth, seed)]
    )
    nearness[-NEWCOMERS:, :NEWCOMERS_AT] = -1.0
    static = chances[np.arange(tasks), nearness.argmax(axis=0)]
    learned = np.array([chances[task, first[task]] if task in first else 0.0 for task in range(tasks)])
    return Curves(learned, static, chances.max(axis=1), chances)


def figures(curves: Curves) -> Figures:
    """What the bars are about. Shares of the oracle's success unless said otherwise."""
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


def task_success(records: Mapping[int, ExperienceRecord], truth: FleetTruth, work: Work) -> Figures:
    """Of whole tasks, stand-ins included, by ``WINDOW``: what happened, and the chance of who asks the best three."""
    kinds, tasks = work.kinds[work.rows], len(work.rows)
    done = np.array([float(task in records and records[task].success) for task in range(tasks)])
    best = np.array([1.0 - np.prod(1.0 - np.sort(truth.strengths(t)[:, kinds[t]])[-ATTEMPTS:]) for t in range(tasks)])
    windows = [slice(start, start + WINDOW) for start in range(0, tasks, WINDOW)]
    return {
        f"task_success_by_{WINDOW}": [round(float(done[window].mean()), 3) for window in windows],
        f"task_success_of_oracle_by_{WINDOW}": [round(float(best[window].mean()), 3) for window in windows],
    }


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

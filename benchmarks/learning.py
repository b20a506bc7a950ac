"""Does routing learn? Thirty agents with hidden strengths, drift, newcomers: static order, learned policy and oracle.

``python -m benchmarks.learning QUERIES`` runs the fleet of ``learning_fleet`` behind the real gateway, bus and store;
``--simulate`` plays the same loop in one process. QUERIES are JSON lines ``{query, gold: [tool]}``. ``--plot FILE``
draws the curves. Success is that of the agent put first: stand-ins for agents that fail are learned from, not counted.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from benchmarks.learning_fleet import (
    AGENTS,
    DRIFT_AT,
    NEWCOMERS,
    NEWCOMERS_AT,
    TASKS,
    FleetTruth,
    Work,
    fleet_of,
    work_of,
)
from benchmarks.learning_plot import draw
from benchmarks.learning_run import agent_name, run_tasks
from benchmarks.learning_simulation import card_vectors, simulate
from schemas.experience import ExperienceRecord
from tensor_layer.wiring import local_text_encoder

WINDOW = 500
RECOVERY_WINDOW = 100
QUERIES_MAX = 6_500
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """(tasks,) each: the chance of success of whom each policy puts first, and of the oracle's choice."""

    learned: Floats
    static: Floats
    oracle: Floats
    truth: Floats
    """(tasks, agents) of every agent: for the best single one."""


def read_queries(path: Path, seed: int) -> tuple[list[str], list[str]]:
    """Different queries with their first tool, at most ``QUERIES_MAX`` drawn by seed."""
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    first = {row["query"]: row["gold"][0] for row in rows if row["gold"]}
    texts = list(first)
    picked = np.random.default_rng(seed).permutation(len(texts))[:QUERIES_MAX]
    return [texts[row] for row in picked], [first[texts[row]] for row in picked]


async def encoded(texts: list[str]) -> NDArray[np.float32]:
    """(texts, d) unit-norm."""
    encoder = local_text_encoder(threads=1)
    with Progress(transient=True) as progress:
        starts = progress.track(range(0, len(texts), 256), description="encoding")
        return np.vstack([await encoder.encode(texts[start : start + 256]) for start in starts])


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


def figures(curves: Curves) -> dict[str, float | int | None]:
    """What the bars are about. Shares of the oracle's success unless said otherwise."""
    tasks = len(curves.learned)
    found: dict[str, float | int | None] = {"tasks": tasks}
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


def put_first(records: dict[int, ExperienceRecord]) -> dict[int, int]:
    """By task number the agent of the first step; stand-ins come later."""
    numbers = {agent_name(agent): agent for agent in range(AGENTS)}
    return {task: numbers[record.chosen[0]] for task, record in records.items() if record.chosen}


def main() -> None:
    """Run, print, and draw when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("queries", type=Path)
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--exploration", type=float, default=0.05, help="share of tasks that may try another agent")
    parser.add_argument("--simulate", action="store_true", help="in one process, without bus and store")
    parser.add_argument("--plot", type=Path, help="SVG to write")
    arguments = parser.parse_args()
    texts, gold = read_queries(arguments.queries, 0)
    vectors = asyncio.run(encoded(texts))
    work = work_of(vectors, gold, arguments.seed, arguments.tasks)
    truth = fleet_of(work.kinship, arguments.seed)
    if arguments.simulate:
        run = simulate(vectors, work, truth, arguments.seed, arguments.exploration)
        first = dict(enumerate(run.chosen))
    else:
        first = put_first(_real_run(work, truth, texts, arguments.seed, arguments.exploration))
    curves = curves_of(first, vectors, work, truth, arguments.seed)
    json.dump(figures(curves), sys.stdout, indent=2)
    print()
    if arguments.plot:
        shown = {"oracle": curves.oracle, "learned": curves.learned, "static": curves.static}
        marks = {DRIFT_AT: "half the fleet changes", NEWCOMERS_AT: "five newcomers"}
        arguments.plot.write_text(draw(shown, marks, WINDOW // 2))


def _real_run(
    work: Work, truth: FleetTruth, texts: list[str], seed: int, exploration: float
) -> dict[int, ExperienceRecord]:
    with tempfile.TemporaryDirectory(prefix="aos-learning-") as folder, Progress() as progress:
        bar = progress.add_task("tasks", total=len(work.rows))
        return asyncio.run(
            run_tasks(
                Path(folder), work, truth, texts, seed,
                exploration=exploration, learning=True, tell=lambda _task: progress.advance(bar),
            )
        )  # fmt: skip


if __name__ == "__main__":
    main()

"""Does routing learn? Thirty agents with hidden strengths, drift, newcomers: static order, learned policy and oracle.

``python -m benchmarks.learning QUERIES`` runs the fleet of ``learning_fleet`` behind the real gateway, bus and store;
``--simulate`` plays the same loop in one process, ``--reference`` a learner that is told more than routing ever is.
``--kinds queries`` is another, easier fleet, whose kinds of task are visible in the words.
QUERIES are JSON lines ``{query, gold: [tool]}``. ``--plot FILE`` draws the curves. Success is that of the agent put
first: stand-ins for agents that fail are learned from, not counted.
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
from rich.console import Console
from rich.progress import Progress

from agents.matching.live.policy import LivePolicy
from benchmarks.learning_fleet import (
    AGENTS,
    DRIFT_AT,
    NEWCOMERS,
    NEWCOMERS_AT,
    QUERIES,
    TASKS,
    TOOLS,
    FleetTruth,
    Work,
    agent_name,
    fleet_of,
    work_of,
)
from benchmarks.learning_plot import draw
from benchmarks.learning_reference import reference
from benchmarks.learning_regret import Decision, lost, newcomers_off
from benchmarks.learning_run import run_tasks
from benchmarks.learning_simulation import card_vectors, simulate
from gateway.learning.pupil import Pupil
from schemas.experience import ExperienceRecord
from tensor_layer.wiring import local_text_encoder

WINDOW = 500
RECOVERY_WINDOW = 100
QUERIES_MAX = 6_500
NEWCOMERS_KNOWN_AFTER = 300
WATCHED_AT = NEWCOMERS_AT + NEWCOMERS_KNOWN_AFTER
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
    with Progress(console=Console(stderr=True), transient=True) as progress:
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


def losses(decisions: dict[int, Decision], truth: FleetTruth, work: Work) -> Figures:
    """Of the oracle's success: what was not among the candidates, was ranked too low, went into trying others."""
    windows = {"before_drift": range(2_000, DRIFT_AT), "after_drift": range(DRIFT_AT, DRIFT_AT + 1_000)}
    kinds = work.kinds[work.rows]
    return {f"lost_{name}": lost(decisions, truth, kinds, tasks) for name, tasks in windows.items()}


def newcomers(policy: LivePolicy, vectors: NDArray[np.float32], work: Work, truth: FleetTruth, seed: int) -> Figures:
    """How many of 100 places each newcomer is off, ``NEWCOMERS_KNOWN_AFTER`` tasks after it came."""
    cards = card_vectors(vectors, work, truth, seed)
    return {
        f"newcomers_off_{name}": newcomers_off(policy, vectors, cards, work, truth, WATCHED_AT, own_kind=own)
        for name, own in (("own_kind", True), ("all_kinds", False))
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


def decided(records: dict[int, ExperienceRecord]) -> dict[int, Decision]:
    """By task number the agent of the first step, stand-ins come later, and the candidates, most probable first."""
    numbers = {agent_name(agent): agent for agent in range(AGENTS)}
    decisions = {}
    for task, record in records.items():
        if record.chosen:
            ranked = sorted(record.candidates, key=lambda one: -one.probability)
            candidates = tuple(numbers[one.agent_id] for one in ranked)
            first = numbers[record.chosen[0]]
            decisions[task] = Decision(candidates or (first,), first)
    return decisions


def learned_from(records: dict[int, ExperienceRecord], dimension: int) -> LivePolicy:
    """What a learner makes of the tasks before ``WATCHED_AT``, as the evolution role does."""
    pupil = Pupil(dimension, "benchmark")
    for record in sorted((records[task] for task in records if task < WATCHED_AT), key=lambda record: record.at):
        pupil.study(record)
    pupil.learner.fit()
    return pupil.learner.policy


def main() -> None:
    """Run, print, and draw when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("queries", type=Path)
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--exploration", type=float, default=0.05, help="share of tasks that may try another agent")
    parser.add_argument("--simulate", action="store_true", help="in one process, without bus and store")
    parser.add_argument("--reference", choices=("past", "all"), help="a learner told the kind of past tasks, or of all")
    parser.add_argument(
        "--kinds", choices=(TOOLS, QUERIES), default=TOOLS, help="what kinds of task are clusters of: tools is harder"
    )
    parser.add_argument("--plot", type=Path, help="SVG to write")
    arguments = parser.parse_args()
    texts, gold = read_queries(arguments.queries, 0)
    vectors = asyncio.run(encoded(texts))
    work = work_of(vectors, gold, arguments.seed, arguments.tasks, arguments.kinds)
    truth = fleet_of(work.kinship, arguments.seed)
    policy: LivePolicy | None = None
    if arguments.reference:
        chosen = reference(vectors, work, truth, arguments.seed, arguments.exploration, told=arguments.reference)
        decisions = {task: Decision((agent,), agent) for task, agent in enumerate(chosen)}
    elif arguments.simulate:
        run = simulate(vectors, work, truth, arguments.seed, arguments.exploration, WATCHED_AT)
        decisions, policy = run.decisions, run.watched
    else:
        records = _real_run(work, truth, texts, arguments.seed, arguments.exploration)
        decisions = decided(records)
        policy = learned_from(records, vectors.shape[1]) if len(work.rows) > WATCHED_AT else None
    first = {task: decision.first for task, decision in decisions.items()}
    curves = curves_of(first, vectors, work, truth, arguments.seed)
    found: Figures = {"kinds": arguments.kinds} | figures(curves)
    if not arguments.reference:
        found |= losses(decisions, truth, work)
    if policy is not None:
        found |= newcomers(policy, vectors, work, truth, arguments.seed)
    json.dump(found, sys.stdout, indent=2)
    print()
    if arguments.plot:
        shown = {"oracle": curves.oracle, "learned": curves.learned, "static": curves.static}
        marks = {DRIFT_AT: "half the fleet changes", NEWCOMERS_AT: "five newcomers"}
        arguments.plot.write_text(draw(shown, marks, WINDOW // 2))


def _real_run(
    work: Work, truth: FleetTruth, texts: list[str], seed: int, exploration: float
) -> dict[int, ExperienceRecord]:
    shown = Progress(console=Console(stderr=True))
    with tempfile.TemporaryDirectory(prefix="aos-learning-") as folder, shown as progress:
        bar = progress.add_task("tasks", total=len(work.rows))
        return asyncio.run(
            run_tasks(
                Path(folder), work, truth, texts, seed,
                exploration=exploration, learning=True, tell=lambda _task: progress.advance(bar),
            )
        )  # fmt: skip


if __name__ == "__main__":
    main()

"""Does routing learn? Thirty agents with hidden strengths, drift, newcomers: static order, learned policy and oracle.

``python -m benchmarks.learning QUERIES`` runs the fleet of ``learning_fleet`` behind the real gateway, bus and store;
``--simulate`` plays the same loop in one process, ``--reference`` a learner that is told more than routing ever is.
``--kinds queries`` is another, easier fleet, whose kinds of task are visible in the words.
QUERIES are JSON lines ``{query, gold: [tool]}``. ``--plot FILE`` draws the curves. Success is that of the agent put
first; the figures ``whole_tasks_…`` are of tasks as clients see them: agents that fail are stood in for, in all orders.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from agents.matching.live.policy import LivePolicy
from benchmarks.learning_figures import WINDOW, Curves, Figures, curves_of, figures, whole_curves_of
from benchmarks.learning_fleet import (
    AGENTS,
    DRIFT_AT,
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
from benchmarks.learning_run import TERMS, Happened, run_tasks
from benchmarks.learning_simulation import card_vectors, simulate
from gateway.learning.pupil import Pupil
from schemas.experience import ExperienceRecord
from tensor_layer.wiring import local_text_encoder

QUERIES_MAX = 6_500
NEWCOMERS_KNOWN_AFTER = 300
WATCHED_AT = NEWCOMERS_AT + NEWCOMERS_KNOWN_AFTER


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


def learned_from(happened: Happened, dimension: int) -> LivePolicy:
    """What a learner makes of the tasks before ``WATCHED_AT`` and of auditions until then, as the role does."""
    pupil = Pupil(dimension, "benchmark")
    before = [record for task, record in happened.records.items() if task < WATCHED_AT]
    until = max(record.at for record in before)
    before += [record for record in happened.auditioned if record.at <= until]
    before.sort(key=lambda record: record.at)
    fitted_at = before[0].at
    for record in before:
        pupil.study(record)
        if TERMS.are_met(pupil.learner.policy.events, pupil.new, (record.at - fitted_at).total_seconds()):
            pupil.learner.fit()
            pupil.new, fitted_at = 0, record.at
    pupil.learner.fit()
    return pupil.learner.policy


def main() -> None:
    """Run, print, and draw when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("queries", type=Path)
    parser.add_argument("--tasks", type=int, default=TASKS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--exploration", type=float, default=0.05, help="share of tasks that may try another agent")
    parser.add_argument("--auditions", type=int, default=0, help="past tasks that a newcomer is asked, 0 to 100")
    parser.add_argument("--simulate", action="store_true", help="in one process, without bus and store")
    parser.add_argument("--reference", choices=("past", "all"), help="a learner told the kind of past tasks, or of all")
    parser.add_argument(
        "--kinds", choices=(TOOLS, QUERIES), default=TOOLS, help="what kinds of task are clusters of: tools is harder"
    )
    parser.add_argument("--plot", type=Path, help="SVG to write: the agent put first")
    parser.add_argument("--plot-whole", type=Path, help="SVG to write: whole tasks, stand-ins included")
    arguments = parser.parse_args()
    texts, gold = read_queries(arguments.queries, 0)
    vectors = asyncio.run(encoded(texts))
    work = work_of(vectors, gold, arguments.seed, arguments.tasks, arguments.kinds)
    truth = fleet_of(work.kinship, arguments.seed)
    policy: LivePolicy | None = None
    happened: Happened | None = None
    if arguments.reference:
        chosen = reference(vectors, work, truth, arguments.seed, arguments.exploration, told=arguments.reference)
        decisions = {task: Decision((agent,), agent) for task, agent in enumerate(chosen)}
    elif arguments.simulate:
        run = simulate(vectors, work, truth, arguments.seed, arguments.exploration, WATCHED_AT)
        decisions, policy = run.decisions, run.watched
    else:
        happened = _real_run(work, truth, texts, arguments.seed, arguments.exploration, arguments.auditions)
        decisions = decided(happened.records)
        policy = learned_from(happened, vectors.shape[1]) if len(work.rows) > WATCHED_AT else None
    first = {task: decision.first for task, decision in decisions.items()}
    curves = curves_of(first, vectors, work, truth, arguments.seed)
    found: Figures = {"kinds": arguments.kinds} | figures(curves)
    _plot(curves, arguments.plot)
    if not arguments.reference:
        found |= losses(decisions, truth, work)
    if happened is not None:
        whole = whole_curves_of(happened.records, vectors, work, truth, arguments.seed)
        found |= {f"whole_tasks_{name}": figure for name, figure in figures(whole).items() if name != "tasks"}
        _plot(whole, arguments.plot_whole)
    if policy is not None:
        found |= newcomers(policy, vectors, work, truth, arguments.seed)
    json.dump(found, sys.stdout, indent=2)
    print()


def _plot(curves: Curves, path: Path | None) -> None:
    if path is not None:
        shown = {"oracle": curves.oracle, "learned": curves.learned, "static": curves.static}
        marks = {DRIFT_AT: "half the fleet changes", NEWCOMERS_AT: "five newcomers"}
        path.write_text(draw(shown, marks, WINDOW // 2))


def _real_run(
    work: Work, truth: FleetTruth, texts: list[str], seed: int, exploration: float, auditions: int
) -> Happened:
    shown = Progress(console=Console(stderr=True))
    with tempfile.TemporaryDirectory(prefix="aos-learning-") as folder, shown as progress:
        bar = progress.add_task("tasks", total=len(work.rows))
        return asyncio.run(
            run_tasks(
                Path(folder), work, truth, texts, seed,
                exploration=exploration, learning=True, auditions=auditions, tell=lambda _task: progress.advance(bar),
            )
        )  # fmt: skip


if __name__ == "__main__":
    main()

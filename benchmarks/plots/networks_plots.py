"""Draws the figures of docs/networks.md: convergence of the searches, and the Pareto front of one of them.

python -m benchmarks.plots.networks_plots [--plots docs/plots] [--seeds 10]

Searches are run anew, which takes some seconds: the same seeds give the same lines.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agents.evolving.evaluation.networks import budget_for
from agents.evolving.evaluation.synthetic import made_up
from agents.evolving.genetic import GeneticSearch
from agents.evolving.greedy_search import GreedySearch
from agents.evolving.policy_gradient import PolicyGradientSearch
from agents.evolving.random_search import RandomSearch
from agents.evolving.searching import NetworkSearch

AGENTS = 12
FRONT_SEED = 5
SIZE_INCHES = (6.4, 3.8)
FRACTIONS = np.linspace(0.02, 1.0, 50)

mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "aos", "font.size": 9})


def reached(search: NetworkSearch, seed: int, *, from_greedy: bool) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """(50,): the worth reached after each share of the evaluations, less what greed reached."""
    problem, _ = made_up(AGENTS, seed)
    greedy = GreedySearch().search(problem, None, budget_for(AGENTS), seed)
    found = search.search(problem, greedy.best if from_greedy else None, budget_for(AGENTS), seed)
    best = np.maximum.accumulate(found.history)
    return np.interp(FRACTIONS, np.linspace(0.0, 1.0, len(best)), best) - greedy.worth


def convergence(axes: Axes, seeds: int) -> None:
    """How fast each search gets better than greed."""
    searches: tuple[tuple[str, NetworkSearch, bool], ...] = (
        ("genetic", GeneticSearch(), True),
        ("policy gradient", PolicyGradientSearch(), False),
        ("random", RandomSearch(), False),
    )
    for name, search, from_greedy in searches:
        gains = np.mean([reached(search, seed, from_greedy=from_greedy) for seed in range(seeds)], axis=0)
        axes.plot(FRACTIONS * budget_for(AGENTS), gains, label=name)
    axes.axhline(0.0, color="grey", linewidth=0.8, label="greedy")
    axes.set_xlabel(f"networks scored (of {budget_for(AGENTS)}; steps of each search evenly spread)")
    axes.set_ylabel("worth above greedy")
    axes.set_title(f"{AGENTS} agents, mean of {seeds} synthetic fleets")
    axes.legend()


def front(axes: Axes, _seeds: int) -> None:
    """What quality costs: the networks of one search that no other one dominates."""
    problem, _ = made_up(AGENTS, FRONT_SEED)
    found = GeneticSearch().search(problem, None, budget_for(AGENTS), FRONT_SEED)
    scores = found.front_objectives
    dots = axes.scatter(scores.cost, scores.quality, c=scores.latency_ms, cmap="viridis")
    axes.scatter(found.objectives.cost, found.objectives.quality, marker="*", s=160, color="tab:red", label="chosen")
    axes.figure.colorbar(dots, ax=axes, label="critical path, ms")
    axes.set_xlabel("cost")
    axes.set_ylabel("predicted quality")
    axes.set_title(f"Pareto front of one search, {AGENTS} agents, seed {FRONT_SEED}")
    axes.legend(loc="lower right")


PLOTS = {"networks-convergence": convergence, "networks-front": front}


def main() -> None:
    """Draw all of them."""
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--plots", type=Path, default=Path("docs/plots"))
    reader.add_argument("--seeds", type=int, default=10)
    given = reader.parse_args()
    given.plots.mkdir(parents=True, exist_ok=True)
    for name, draw in PLOTS.items():
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        draw(figure.subplots(), given.seeds)
        figure.savefig(given.plots / f"{name}.svg", metadata={"Date": None})
        print(given.plots / f"{name}.svg")


if __name__ == "__main__":
    main()

"""Draws the figures of docs/matching.md from the JSON that `aos bench match|learn|route --json` wrote.

python -m benchmarks.plots.matching [--results benchmarks/results] [--plots docs/plots]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

SIZE_INCHES = (6.4, 3.8)
BARS = {200: 66.0, 1_000: 75.0, 5_000: 82.0, 15_544: 88.0}
BASELINE = {200: 62.3, 1_000: 71.0, 5_000: 78.0, 15_544: 84.0}
BANDIT_BAR = 78.0

# Text stays text and ids stay the same from run to run: a redrawn plot differs only where a figure does.
mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "aos", "font.size": 9})


class Results:
    """The folder of JSON files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, name: str) -> dict[str, Any]:
        """One command's figures. Raises FileNotFoundError that says which command to run."""
        path = self._folder / f"{name}.json"
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing; docs/matching.md says which command writes it")
        figures: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return figures


def learning_curve(results: Results, axes: Axes) -> None:
    """Recall at 1 by how many past queries were learned from."""
    rows = list(BARS)
    after = [100 * results.of(f"match_metatool_{count}")["recall_at_1"] for count in rows]
    alone = 100 * results.of("match_metatool_0")["recall_at_1"]
    axes.plot(rows, after, "o-", label="aos bench match")
    axes.plot(rows, list(BARS.values()), "x", color="black", label="bar")
    axes.plot(rows, list(BASELINE.values()), ":", color="grey", label="best simple learner")
    axes.axhline(alone, linestyle="--", linewidth=1, label=f"cards alone ({alone:.1f})")
    axes.set_xscale("log")
    axes.set_xticks(rows, [f"{count:,}" for count in rows])
    axes.minorticks_off()
    axes.set(xlabel="past queries whose right agent is known", ylabel="recall@1, %", title="metatool, 199 agents")
    axes.legend()


def bandit_curve(results: Results, axes: Axes) -> None:
    """Share of right choices along the stream, when only the chosen agent's success is seen."""
    for name, label in (("learn_metatool", "all agents"), ("learn_metatool_cold", "a fifth never chosen")):
        figures = results.of(name)
        steps, shares = zip(*figures["curve"], strict=True)
        axes.plot(steps, [100 * share for share in shares], label=label)
        axes.plot(steps[-1], 100 * figures["frozen_recall_at_1"], "o", color=axes.lines[-1].get_color())
    axes.axhline(BANDIT_BAR, linestyle="--", linewidth=1, color="black", label="bar, frozen (dots)")
    axes.set(
        xlabel="tasks", ylabel="right at first choice, %", title="metatool, only the chosen agent's success is seen"
    )
    axes.legend(loc="lower right")


def cost_saving(results: Results, axes: Axes) -> None:
    """What is left of the score when cost counts more and more."""
    for name, label in (("route_llmrouter9", "llmrouter9"), ("route_workbench", "workbench, unseen templates")):
        figures = results.of(name)
        curve = figures["curve"]
        (line,) = axes.plot([p["cost"] for p in curve], [100 * p["mean_score"] for p in curve], "o-", label=label)
        axes.axhline(100 * figures["best_single"], linestyle="--", linewidth=1, color=line.get_color())
    axes.set(xlabel="mean cost, of the dearest agent's", ylabel="mean score, %", title="dashed: always the best single")
    axes.legend()


def abstaining(results: Results, axes: Axes) -> None:
    """How many out-of-scope queries are caught for how many real ones lost."""
    for name, label in (
        ("match_clinc150", "100 out-of-scope queries in the experience"),
        ("match_clinc150_unaware", "none in the experience"),
    ):
        curve = results.of(name)["abstain"]["caught_by_kept"]
        axes.plot([100 * (1 - kept) for kept, _ in curve], [100 * caught for _, caught in curve], "o-", label=label)
    axes.plot(5, 85, "x", color="black", label="bar")
    axes.set_xlim(0, 30)
    axes.set(xlabel="real queries turned away, %", ylabel="out-of-scope caught, %", title="clinc150")
    axes.legend(loc="lower right")


DRAWN = {
    "learning_curve": learning_curve,
    "bandit_curve": bandit_curve,
    "cost_saving": cost_saving,
    "abstaining": abstaining,
}


def main() -> None:
    """Draw all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--plots", type=Path, default=Path("docs/plots"))
    chosen = parser.parse_args()
    chosen.plots.mkdir(parents=True, exist_ok=True)
    for name, draw in DRAWN.items():
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        axes = figure.subplots()
        draw(Results(chosen.results), axes)
        axes.grid(alpha=0.3)
        figure.savefig(chosen.plots / f"matching_{name}.svg", metadata={"Date": None})
        print(chosen.plots / f"matching_{name}.svg")


if __name__ == "__main__":
    main()

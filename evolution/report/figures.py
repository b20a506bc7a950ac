"""Series as drawings: SVG text for one page. Called by ``page``. Matplotlib has its one room here."""

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from evolution.replay.off_policy import Evaluation
from evolution.report.summaries import Curve, Series

WIDTH_IN, HEIGHT_IN = 9.6, 3.0
# Okabe & Ito's palette: told apart by people who see colours differently, too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555")
_PROLOGUE = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_STYLE = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.prop_cycle": cycler(color=COLOURS),
}


def lines(name: str, series: Sequence[Series], *, label: str, share: bool = False, log: bool = False) -> str:
    """Lines over time, gaps where nothing happened."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes()
        for one in series:
            seen = np.isfinite(one.values)
            places: Any = [moment for moment, there in zip(one.at, seen, strict=True) if there]
            sizes = 8 + 28 * np.sqrt(one.counts[seen] / max(float(one.counts.max()), 1.0))
            moments: Any = list(one.at)
            [line] = axes.plot(moments, one.values, linewidth=1.4, label=one.name)
            axes.scatter(places, one.values[seen], s=sizes, color=line.get_color(), linewidths=0)
        locator = AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        _scale(axes, label, share=share, log=log and _positive(series))
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        return _svg(figure, name)


def curve(name: str, found: Curve) -> str:
    """Success over the number of tasks, with where policies began."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes()
        axes.fill_between(found.tasks, found.low, found.high, color=COLOURS[0], alpha=0.18, linewidth=0)
        axes.plot(found.tasks, found.success, color=COLOURS[0], linewidth=1.6)
        for task, policy in found.changes[-12:]:
            axes.axvline(task, color="#999999", linewidth=0.8, linestyle=":")
            axes.annotate(policy, (task, 1.02), rotation=30, fontsize=7, annotation_clip=False)
        axes.set_xlabel("tasks")
        _scale(axes, "success, rolling", share=True, log=False)
        return _svg(figure, name)


def comparison(name: str, evaluations: Mapping[str, Evaluation]) -> str:
    """Policies side by side: doubly robust estimates with their intervals; hollow where support is missing."""
    with mpl.rc_context(_STYLE):
        figure, axes = _axes(height_in=0.7 + 0.34 * max(len(evaluations), 1))
        for place, (policy, found) in enumerate(reversed(list(evaluations.items()))):
            one = found.doubly_robust
            colour = COLOURS[0] if policy == "logged" else COLOURS[1]
            axes.plot((one.low, one.high), (place, place), color=colour, linewidth=1.6)
            face = "white" if found.warnings else colour
            axes.plot(one.value, place, "o", color=colour, markerfacecolor=face, markersize=6)
            axes.annotate(policy, (-0.01, place), xycoords=("axes fraction", "data"), ha="right", va="center")
        axes.set_yticks([])
        axes.set_ylim(-0.6, len(evaluations) - 0.4)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        axes.set_xlabel("success that the policy would have had (95 % interval)")
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.grid(axis="x", color="#e6e6e6")
        return _svg(figure, name)


def _axes(height_in: float = HEIGHT_IN) -> tuple[Figure, Axes]:
    """A figure of its own: pyplot's global state stays out of servers."""
    figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e6e6", linewidth=0.7)
    return figure, axes


def _scale(axes: Axes, label: str, *, share: bool, log: bool) -> None:
    axes.set_ylabel(label)
    if share:
        axes.set_ylim(-0.02, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    elif log:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(bottom=0.0)


def _positive(series: Sequence[Series]) -> bool:
    values = [float(value) for one in series for value in one.values if math.isfinite(value)]
    return bool(values) and min(values) > 0


def _svg(figure: Figure, name: str) -> str:
    """The drawing without its XML prologue. ``name`` salts the ids: several drawings share one page."""
    out = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    drawn = _PROLOGUE.sub("", out.getvalue())
    drawn = re.sub(r'( id="|url\(#|href="#)', rf"\g<1>{name}-", _without_metadata(drawn))
    return drawn.replace("<svg ", f'<svg role="img" aria-label="{name.replace("-", " ")}" ', 1)


def _without_metadata(drawn: str) -> str:
    """The licence block names addresses on the network, which a self-contained page does not."""
    return re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)

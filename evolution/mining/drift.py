"""When an agent's quality, latency or cost changed. Called by ``mine``.

One change of mean is sought in each series by the CUSUM test (Page 1954; its maximum follows the supremum of a Brownian
bridge, Kolmogorov's distribution). Holm's correction over all agents and metrics bounds the chance of any false alarm
in one run of mining by ``alpha``.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov

from evolution.mining.columns import NOISE, Coded, Columns

Floats = NDArray[np.float64]

ALPHA = 0.01
MIN_SEGMENT = 20
EXAMPLES = 5
DAYS_OF_RHYTHM = 4
"""A window so long shows what is usual at each hour of the day; in a shorter one, hours and a change look alike."""
_HOURS = 24
_HOUR_US = 3_600_000_000
_DAY_US = _HOURS * _HOUR_US


@dataclass(frozen=True, slots=True)
class Change:
    """The likeliest place of a change: values from ``index`` on are the new ones."""

    index: int
    before: float
    after: float
    p_value: float


@dataclass(frozen=True, slots=True)
class Drift:
    """An agent's metric changed. ``error_rate`` is the p-value after correction."""

    agent_id: str
    metric: str
    at: datetime
    before: float
    after: float
    count: int
    error_rate: float
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Series:
    """One agent's values of one metric in order of time: ``task`` (n,) is whose they are, ``residual`` (n,) less what
    is usual for their kind of task."""

    agent_id: str
    metric: str
    task: NDArray[np.int64]
    value: Floats
    residual: Floats


def find_drifts(columns: Columns, *, alpha: float = ALPHA) -> list[Drift]:
    """Drifts of all agents, earliest first. Values are compared within their kind: a new mix of tasks is no drift."""
    tested = []
    for series in _all_series(columns):
        change = change_point(series.residual)
        if change is not None:
            tested.append((series, change))
    adjusted = holm([change.p_value for _, change in tested])
    found = [
        _drift(columns, series, change, error_rate)
        for (series, change), error_rate in zip(tested, adjusted, strict=True)
        if error_rate <= alpha
    ]
    return sorted(found, key=lambda drift: (drift.at, drift.agent_id, drift.metric))


def change_point(values: Floats, min_segment: int = MIN_SEGMENT) -> Change | None:
    """The one change of mean in values (n,) that splits them best; None for too few values or none that vary."""
    count = len(values)
    if count < 2 * min_segment:
        return None
    sums = np.cumsum(values)
    sizes = np.arange(1, count)
    gaps = np.abs(sums[:-1] - sizes / count * sums[-1])[min_segment - 1 : count - min_segment]
    index = int(gaps.argmax()) + min_segment
    before, after = values[:index], values[index:]
    # Spread around both means: a real change must not hide itself by inflating the overall variance.
    spread = math.sqrt((before.var() * len(before) + after.var() * len(after)) / (count - 2))
    if spread < 1e-12:
        same = math.isclose(before.mean(), after.mean(), abs_tol=1e-12)
        return None if same else Change(index, float(before.mean()), float(after.mean()), 0.0)
    statistic = float(gaps.max()) / (spread * math.sqrt(count))
    return Change(index, float(before.mean()), float(after.mean()), float(kolmogorov(statistic)))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values corrected for the number of tests (Holm 1979), in the order given."""
    count = len(p_values)
    adjusted, highest = [0.0] * count, 0.0
    for rank, index in enumerate(sorted(range(count), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def _all_series(columns: Columns) -> Iterator[_Series]:
    """Each agent's metrics, of its own steps: a task that another agent saved, or spoiled, says nothing of it."""
    values = {
        "success": columns.step_ok.astype(np.float64),
        "log_latency_ms": np.log1p(columns.step_latency_ms),
        "cost": columns.step_cost,
    }
    yield from _split(columns, columns.step_task, columns.step_agent, values)


def _split(columns: Columns, task: NDArray[np.int64], agent: Coded, metrics: Mapping[str, Floats]) -> Iterator[_Series]:
    """The series of each agent, for values (m,) that belong to these tasks (m,) and agents."""
    # Small integers are sorted by radix, ten times faster.
    few = len(agent.values) < np.iinfo(np.int16).max
    order = np.argsort(agent.codes.astype(np.int16) if few else agent.codes, kind="stable")
    task, codes = task[order], agent.codes[order]
    usual = _groupings(columns, task, codes)
    edges = np.searchsorted(codes, np.arange(len(agent.values) + 1))
    for metric, values in metrics.items():
        value = values[order]
        residual = value
        for grouping in usual:
            residual = grouping.less_usual(residual)
        for number, (start, stop) in enumerate(itertools.pairwise(edges.tolist())):
            span = slice(start, stop)
            yield _Series(agent.values[number], metric, task[span], value[span], residual[span])


def _groupings(columns: Columns, task: NDArray[np.int64], codes: NDArray[np.int32]) -> list["_Grouping"]:
    """What values are usual for: the agent's tasks of a kind, and in a window that shows it, of an hour of the day."""
    kind = columns.kind.astype(np.int64) - NOISE
    kinds = int(kind.max(initial=0)) + 1
    found = [_Grouping.of(codes * np.int64(kinds) + kind[task])]
    if len(columns) and columns.at_us[-1] - columns.at_us[0] >= DAYS_OF_RHYTHM * _DAY_US:
        hour = columns.at_us // _HOUR_US % _HOURS
        found.append(_Grouping.of(codes * np.int64(_HOURS) + hour[task]))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Grouping:
    """Which group each value is of (m,), and how many there are of each; groups without values count as one."""

    group: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, group: NDArray[np.int64]) -> "_Grouping":
        return cls(group, np.maximum(np.bincount(group), 1))

    def less_usual(self, value: Floats) -> Floats:
        """Values less the mean of their group."""
        # From one value of each group on: a group of equal values is 0 to the last digit. What rounding left of a fixed
        # price for each kind would be the cleanest step there is, wherever the mix of kinds changes.
        some = np.zeros(len(self.sizes))
        some[self.group] = value
        apart = value - some.take(self.group)
        return apart - (np.bincount(self.group, apart) / self.sizes).take(self.group)


def _drift(columns: Columns, series: _Series, change: Change, error_rate: float) -> Drift:
    return Drift(
        agent_id=series.agent_id,
        metric=series.metric,
        at=columns.moment(series.task[change.index]),
        before=float(series.value[: change.index].mean()),
        after=float(series.value[change.index :].mean()),
        count=len(series.value),
        error_rate=error_rate,
        examples=columns.tasks(np.unique(series.task[change.index :])[:EXAMPLES]),
    )

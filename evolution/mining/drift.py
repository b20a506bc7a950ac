"""When an agent's quality, latency or cost changed. Called by ``mine``.

One change of mean is sought in each series by the CUSUM test (Page 1954; its maximum follows the supremum of a Brownian
bridge, Kolmogorov's distribution). Holm's correction over all agents and metrics bounds the chance of any false alarm
in one run of mining by ``alpha``.
"""

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov

from schemas.experience import ExperienceRecord

Floats = NDArray[np.float64]

ALPHA = 0.01
MIN_SEGMENT = 20
METRICS = ("success", "log_latency_ms", "cost")


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


@dataclass(frozen=True, slots=True)
class Observation:
    """One task of one agent."""

    at: datetime
    task_id: str
    kind: int | None
    value: float


def find_drifts(records: Iterable[ExperienceRecord], kinds: Mapping[str, int], *, alpha: float = ALPHA) -> list[Drift]:
    """Drifts of all agents, earliest first. ``kinds`` maps task id to kind: a new mix of tasks is no drift."""
    tested = []
    for (agent, metric), series in _series(records, kinds).items():
        change = change_point(_residuals(series))
        if change is not None:
            tested.append((agent, metric, series, change))
    adjusted = holm([change.p_value for *_, change in tested])
    found = [
        _drift(agent, metric, series, change, error_rate)
        for (agent, metric, series, change), error_rate in zip(tested, adjusted, strict=True)
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


def _series(records: Iterable[ExperienceRecord], kinds: Mapping[str, int]) -> dict[tuple[str, str], list[Observation]]:
    """Each agent's metrics in order of time. Latency and cost are its own steps'; success is the whole task's."""
    series: dict[tuple[str, str], list[Observation]] = defaultdict(list)
    for record in sorted(records, key=lambda item: (item.at, item.record_id)):
        kind = kinds.get(record.task_id)
        for agent in sorted(set(record.chosen)):
            series[agent, "success"].append(Observation(record.at, record.task_id, kind, float(record.success)))
        for step in record.steps:
            values = {"log_latency_ms": math.log1p(step.latency_ms), "cost": step.cost}
            for metric, value in values.items():
                series[step.agent_id, metric].append(Observation(record.at, record.task_id, kind, value))
    return series


def _residuals(series: Sequence[Observation]) -> Floats:
    """Values less what is usual for their kind of task."""
    values: dict[Hashable, list[float]] = defaultdict(list)
    for item in series:
        values[item.kind].append(item.value)
    usual = {kind: float(np.mean(of_kind)) for kind, of_kind in values.items()}
    return np.array([item.value - usual[item.kind] for item in series])


def _drift(agent: str, metric: str, series: Sequence[Observation], change: Change, error_rate: float) -> Drift:
    values = np.array([item.value for item in series])
    return Drift(
        agent_id=agent,
        metric=metric,
        at=series[change.index].at,
        before=float(values[: change.index].mean()),
        after=float(values[change.index :].mean()),
        count=len(series),
        error_rate=error_rate,
        examples=tuple(item.task_id for item in series[change.index : change.index + 5]),
    )

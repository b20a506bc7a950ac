"""Records as series and tables to draw. Pure; called by ``page``."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from evolution.mining.rules import wilson
from schemas.experience import ExperienceRecord

Floats = NDArray[np.float64]

BINS = 24
MOST_SERIES = 6
MOST_ROWS = 30
ROLLING = 200
OTHERS = "others"

Label = Callable[[ExperienceRecord], Sequence[str]]
Value = Callable[[ExperienceRecord], float]


@dataclass(frozen=True, slots=True)
class Series:
    """One line: ``values`` (n,) at ``at`` (n,), NaN where nothing happened; ``counts`` (n,) tasks behind each."""

    name: str
    at: Sequence[datetime]
    values: Floats
    counts: Floats


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One agent, kind or policy in numbers. Latencies in ms; the interval of success is Wilson's 95 %.

    ``saved`` is the share of tasks that succeeded only because another agent stood in; of an agent, for itself.
    """

    name: str
    tasks: int
    success: float
    low: float
    high: float
    saved: float
    latency_p50_ms: float
    latency_p95_ms: float
    cost_mean: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Success over the number of tasks: rolling mean (n,) with its interval, and where each policy began."""

    tasks: Floats
    success: Floats
    low: Floats
    high: Floats
    changes: tuple[tuple[int, str], ...]


def agents_of(record: ExperienceRecord) -> Sequence[str]:
    """Each agent of the team once."""
    return tuple(dict.fromkeys(record.chosen)) or ("nobody",)


def policy_of(record: ExperienceRecord) -> Sequence[str]:
    """The policy that routed it."""
    return (record.policy,)


def kind_label(kinds: Mapping[str, str]) -> Label:
    """By the kind of task, given its name by task id."""
    return lambda record: (kinds.get(record.task_id, "no kind"),)


def over_time(records: Sequence[ExperienceRecord], label: Label, value: Value, *, bins: int = BINS) -> list[Series]:
    """The mean of ``value`` in equal bins of time, for the most frequent labels and the others together."""
    if not records:
        return []
    start, end = records[0].at, records[-1].at
    width = max((end - start) / bins, timedelta(milliseconds=1))
    centres = [start + width * (number + 0.5) for number in range(bins)]
    kept = common(records, label)
    sums: dict[str, Floats] = defaultdict(lambda: np.zeros(bins))
    counts: dict[str, Floats] = defaultdict(lambda: np.zeros(bins))
    for record in records:
        place = min(int((record.at - start) / width), bins - 1)
        for name in {one if one in kept else OTHERS for one in label(record)}:
            sums[name][place] += value(record)
            counts[name][place] += 1
    names = [*kept, *([OTHERS] if OTHERS in counts else [])]
    with np.errstate(invalid="ignore"):
        return [Series(name, centres, sums[name] / counts[name], counts[name]) for name in names]


def common(records: Sequence[ExperienceRecord], label: Label, limit: int = MOST_SERIES) -> list[str]:
    """The most frequent labels, most frequent first; ties by name."""
    counted = Counter(name for record in records for name in label(record))
    return [name for name, _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:limit]]


def grouped(records: Sequence[ExperienceRecord], label: Label, limit: int = MOST_ROWS) -> list[GroupRow]:
    """A table by label, most frequent first."""
    groups: dict[str, list[ExperienceRecord]] = defaultdict(list)
    for record in records:
        for name in label(record):
            groups[name].append(record)
    rows = [_row(name, of_name, agent=name if label is agents_of else None) for name, of_name in groups.items()]
    return sorted(rows, key=lambda row: (-row.tasks, row.name))[:limit]


def failures(records: Sequence[ExperienceRecord]) -> list[tuple[str, int]]:
    """Failure codes, most frequent first."""
    return Counter(record.failure_code or record.state.value for record in records if not record.success).most_common()


def learning_curve(records: Sequence[ExperienceRecord], rolling: int = ROLLING) -> Curve:
    """Rolling success over the tasks that some policy routed; of few tasks the window shrinks to a fifth of them."""
    routed = [record for record in records if record.candidates]
    won = np.array([record.success for record in routed], dtype=np.float64)
    width = max(1, min(rolling, len(won) // 5))
    sums = np.concatenate(([0.0], np.cumsum(won)))
    ends = np.arange(width, len(won) + 1)
    hits = sums[ends] - sums[ends - width] if len(won) else np.zeros(0)
    intervals = np.array([wilson(int(count), width) for count in hits]).reshape(-1, 2)
    changes, last = [], ""
    for number, record in enumerate(routed):
        if record.policy != last and _stays(routed, number):
            changes.append((number, record.policy))
            last = record.policy
    return Curve(ends.astype(np.float64), hits / width, intervals[:, 0], intervals[:, 1], tuple(changes))


def _stays(routed: Sequence[ExperienceRecord], number: int, look: int = 20) -> bool:
    """Whether the policy routes most of the next tasks: two that share traffic are no series of changes."""
    following = routed[number : number + look]
    return 2 * sum(record.policy == routed[number].policy for record in following) > len(following)


def _row(name: str, records: Sequence[ExperienceRecord], agent: str | None) -> GroupRow:
    won = sum(record.success for record in records)
    saved = sum(
        record.success and any(not step.ok and agent in (None, step.agent_id) for step in record.steps)
        for record in records
    )
    latencies = np.array([record.latency_ms for record in records])
    low, high = wilson(won, len(records))
    p50, p95 = np.percentile(latencies, [50, 95])
    cost = float(np.mean([record.cost for record in records]))
    count = len(records)
    return GroupRow(name, count, won / count, low, high, saved / count, float(p50), float(p95), cost)

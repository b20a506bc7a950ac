"""One window of one tenant's experience -> patterns, as messages. Called by `aos mine` and on a schedule.

The step before it: the store's records. The step after it: people and policies read `SynthesizedPattern`. Pure and
CPU-bound: run it in a thread or process of its own.
"""

import base64
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from evolution.mining.columns import NOISE, Columns, columns_of
from evolution.mining.drift import Drift, find_drifts
from evolution.mining.kinds import Kinds, Vectors, commonest, learned_kinds, unit
from evolution.mining.rules import MIN_LIFT, Rule, find_rules
from evolution.mining.transactions import (
    CANCELLED,
    DENIED,
    FAILURE,
    LACKING,
    OUTRUN,
    OVERSPENT,
    RESCUED,
    SAMPLE,
    SUCCESS,
    Items,
    limits_of,
)
from evolution.validity import task_vector
from schemas.experience import ExperienceRecord
from schemas.pattern import PatternKind, SynthesizedPattern
from schemas.routing_rule import TaskKind

MINER = "mine-1"
EXAMPLES = 5
_SAID = {
    RESCUED: "success only by another agent that stood in",
    SUCCESS: "success without anybody standing in",
    FAILURE: "failure",
    LACKING: "a task that lacks something",
    CANCELLED: "a task that somebody cancels",
    DENIED: "a task that somebody denies",
    OVERSPENT: "a task whose budget does not suffice",
    OUTRUN: "a task whose time is over before anybody could do anything",
}


@dataclass(frozen=True, slots=True)
class Mined:
    """What a window holds. ``kinds`` goes into the next run, so that kinds keep their names."""

    patterns: tuple[SynthesizedPattern, ...]
    kinds: Kinds


Words = Callable[[Sequence[str]], Mapping[str, str]]
"""The instructions of tasks, by task id; tasks whose words may not be quoted are left out."""


def mine(records: Sequence[ExperienceRecord], *, previous: Kinds | None = None, seed: int = 0) -> Mined:
    """Kinds of task, rules and drifts of records of one tenant. The same window gives the same patterns again."""
    tenants = {record.tenant for record in records}
    if len(tenants) > 1:
        raise ValueError(f"patterns are mined for one tenant; these records belong to {sorted(tenants)}")
    kinds, kind_of = _kinds_of(records, previous, seed)
    said = {record.task_id: record.instruction for record in records}
    patterns = synthesize(columns_of(records, kind_of), kinds, "".join(tenants), lambda _: said)
    return Mined(patterns, kinds)


def synthesize(columns: Columns, kinds: Kinds, tenant: str, words: Words) -> tuple[SynthesizedPattern, ...]:
    """The patterns of a window whose tasks have been given their kinds."""
    if not len(columns):
        return ()
    window = _Window(tenant, columns, Items(columns, limits_of(columns)), kinds)
    of_kinds = _of_kinds(window, kinds, words)
    rules = [_of_rule(window, rule) for rule in _rules(window)]
    drifts = [_of_drift(window, drift) for drift in find_drifts(columns)]
    return (*of_kinds, *rules, *drifts)


def _rules(window: "_Window") -> list[Rule]:
    """Rules of a sample, with their counts in the whole window."""
    found = find_rules(window.items.sampled())
    if len(window.columns) <= SAMPLE:
        return found
    counted = [window.recounted(rule) for rule in found]
    return [rule for rule in counted if rule.lift >= MIN_LIFT]


@dataclass(frozen=True, slots=True, eq=False)
class _Window:
    tenant: str
    columns: Columns
    items: Items
    kinds: Kinds

    @property
    def since(self) -> datetime:
        return self.columns.moment(0)

    @property
    def until(self) -> datetime:
        return self.columns.moment(-1)

    def examples(self, items: frozenset[str]) -> tuple[str, ...]:
        """The newest tasks that had all of these items."""
        return self.columns.tasks(np.flatnonzero(self.items.having(items))[: -EXAMPLES - 1 : -1].tolist())

    def task_kind(self, antecedent: Iterable[str]) -> TaskKind | None:
        """The kind that the antecedent names, with what it takes to know its tasks elsewhere."""
        named = [int(item.removeprefix("kind=")) for item in antecedent if item.startswith("kind=")]
        if not named or named[0] not in self.kinds.names:
            return None
        row = self.kinds.names.index(named[0])
        centre = base64.b64encode(self.kinds.centres[row].astype("<f4").tobytes()).decode()
        return TaskKind(name=named[0], centre=centre, reach=max(-1.0, min(float(self.kinds.reach[row]), 1.0)))

    def recounted(self, rule: Rule) -> Rule:
        """The rule as all tasks of the window show it."""
        covered, outcome = self.items.having(rule.antecedent), self.items.having((rule.consequent,))
        return rule.recounted(int((covered & outcome).sum()), int(covered.sum()), int(outcome.sum()), len(self.columns))


def _kinds_of(records: Sequence[ExperienceRecord], previous: Kinds | None, seed: int) -> tuple[Kinds, dict[str, int]]:
    """The kinds, and the kind of each task that has one. Of the commonest encoder only: others do not compare."""
    ordered = sorted(records, key=lambda record: (record.at, record.record_id))
    common = commonest([record.vector_version for record in ordered if record.vector is not None])
    with_vector = [record for record in ordered if record.vector is not None and record.vector_version == common]
    # An encoder that changed its width without a new name: only one width can be compared.
    width = Counter(len(record.vector or "") for record in with_vector).most_common(1)
    with_vector = [record for record in with_vector if len(record.vector or "") == width[0][0]]
    stacked = [vector for vector in map(task_vector, with_vector) if vector is not None]
    vectors: Vectors = np.array(stacked, dtype=np.float32).reshape(len(stacked), -1 if stacked else 0)
    kinds = learned_kinds(vectors, previous, seed)
    names = kinds.assign(unit(vectors))
    named = zip(with_vector, names.tolist(), strict=True)
    return kinds, {record.task_id: name for record, name in named if name != NOISE}


def _of_kinds(window: _Window, kinds: Kinds, words: Words) -> list[SynthesizedPattern]:
    columns = window.columns
    shift = columns.kind.astype(np.int64) - NOISE
    counts, successes = np.bincount(shift), np.bincount(shift, columns.success)
    found = [name for name in sorted(kinds.names) if name - NOISE < len(counts) and counts[name - NOISE]]
    newest = {name: np.flatnonzero(columns.kind == name)[: -EXAMPLES - 1 : -1].tolist() for name in found}
    examples = {name: columns.tasks(places) for name, places in newest.items()}
    said = words([tasks[0] for tasks in examples.values()])
    return [
        _of_kind(window, kinds, name, int(counts[name - NOISE]), float(successes[name - NOISE]), examples[name], said)
        for name in found
    ]


def _of_kind(
    window: _Window,
    kinds: Kinds,
    name: int,
    count: int,
    successes: float,
    examples: tuple[str, ...],
    said: Mapping[str, str],
) -> SynthesizedPattern:
    words = said.get(examples[0], "").split("\n")[0][:80]
    such_as = f" such as “{words}”" if words else ""
    return SynthesizedPattern(
        pattern_id=_id(window, PatternKind.KIND, str(name)),
        tenant=window.tenant,
        kind=PatternKind.KIND,
        statement=f"Kind {name}: {count} tasks{such_as}; {successes / count:.0%} succeed",
        antecedent=(f"kind={name}",),
        support=count,
        support_share=count / len(window.columns),
        examples=examples,
        since=window.since,
        until=window.until,
        miner=f"{MINER}, {kinds.method}, silhouette {kinds.silhouette:.3f}",
        task_kind=window.task_kind((f"kind={name}",)),
    )


def _of_rule(window: _Window, rule: Rule) -> SynthesizedPattern:
    items = tuple(sorted(rule.antecedent))
    return SynthesizedPattern(
        pattern_id=_id(window, PatternKind.RULE, *items, rule.consequent),
        tenant=window.tenant,
        kind=PatternKind.RULE,
        statement=(
            f"With {' and '.join(items)}, {_SAID.get(rule.consequent, rule.consequent)} in {rule.confidence:.0%} of "
            f"{rule.covered} tasks: "
            f"{rule.lift:.1f} times as often as usual"
        )[:500],
        antecedent=items,
        consequent=rule.consequent,
        support=rule.count,
        support_share=rule.count / rule.total,
        confidence=rule.confidence,
        lift=rule.lift,
        low=rule.low,
        high=rule.high,
        error_rate=rule.error_rate,
        examples=window.examples(rule.antecedent | {rule.consequent}),
        since=window.since,
        until=window.until,
        miner=f"{MINER}, FP-growth",
        task_kind=window.task_kind(items),
    )


def _of_drift(window: _Window, drift: Drift) -> SynthesizedPattern:
    return SynthesizedPattern(
        pattern_id=_id(window, PatternKind.DRIFT, drift.agent_id, drift.metric, drift.at.isoformat()),
        tenant=window.tenant,
        kind=PatternKind.DRIFT,
        statement=f"{_changed(drift)} at {drift.at.isoformat(timespec='seconds')}",
        antecedent=(f"agent={drift.agent_id}",),
        consequent=f"{drift.metric} {'rises' if drift.after > drift.before else 'falls'}",
        support=drift.count,
        support_share=min(drift.count / len(window.columns), 1.0),
        error_rate=drift.error_rate,
        examples=drift.examples,
        since=window.since,
        until=window.until,
        miner=f"{MINER}, CUSUM",
    )


def _changed(drift: Drift) -> str:
    """In the units of people: shares as percent, and of logarithms the typical time."""
    if drift.metric == "success":
        return f"success of {drift.agent_id} went from {drift.before:.1%} to {drift.after:.1%}"
    if drift.metric == "log_latency_ms":
        before, after = math.expm1(drift.before), math.expm1(drift.after)
        return f"typical latency of {drift.agent_id} went from {_plain(before)} ms to {_plain(after)} ms"
    return f"{drift.metric} of {drift.agent_id} went from {_plain(drift.before)} to {_plain(drift.after)}"


def _plain(value: float) -> str:
    """Three digits, and never a power of ten for what people read whole."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _id(window: _Window, kind: PatternKind, *parts: str) -> str:
    return hashlib.blake2b("\x00".join((window.tenant, kind, *parts)).encode(), digest_size=16).hexdigest()

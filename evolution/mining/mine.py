"""One window of one tenant's experience -> patterns, as messages. Called by `aos mine` and on a schedule.

The step before it: the store's records. The step after it: people and policies read `SynthesizedPattern`. Pure and
CPU-bound: run it in a thread or process of its own.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from evolution.mining.drift import Drift, find_drifts
from evolution.mining.kinds import NOISE, Kinds, Vectors, find_kinds, renamed
from evolution.mining.rules import Rule, find_rules
from evolution.mining.transactions import counted, items_of, limits_of
from evolution.validity import task_vector
from schemas.experience import ExperienceRecord
from schemas.pattern import PatternKind, SynthesizedPattern

MINER = "mine-1"
EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Mined:
    """What a window holds. ``kinds`` goes into the next run, so that kinds keep their names."""

    patterns: tuple[SynthesizedPattern, ...]
    kinds: Kinds


def mine(records: Sequence[ExperienceRecord], *, previous: Kinds | None = None, seed: int = 0) -> Mined:
    """Kinds of task, rules and drifts of records of one tenant. The same window gives the same patterns again."""
    tenants = {record.tenant for record in records}
    if len(tenants) > 1:
        raise ValueError(f"patterns are mined for one tenant; these records belong to {sorted(tenants)}")
    ordered = sorted(records, key=lambda record: (record.at, record.record_id))
    kinds, kind_of = _kinds_of(ordered, previous, seed)
    limits = limits_of(ordered)
    itemsets = [items_of(record, kind_of.get(record.task_id), limits) for record in ordered]
    window = _Window(ordered, itemsets, kind_of)
    patterns = [
        *(_of_kind(window, kinds, name) for name in kinds.names if name in kind_of.values()),
        *(_of_rule(window, rule) for rule in find_rules(counted(itemsets))),
        *(_of_drift(window, drift) for drift in find_drifts(ordered, kind_of)),
    ]
    return Mined(tuple(patterns), kinds)


@dataclass(frozen=True, slots=True)
class _Window:
    records: Sequence[ExperienceRecord]
    itemsets: Sequence[frozenset[str]]
    kind_of: dict[str, int]

    @property
    def tenant(self) -> str:
        return self.records[0].tenant

    @property
    def since(self) -> datetime:
        return self.records[0].at

    @property
    def until(self) -> datetime:
        return self.records[-1].at

    def examples(self, items: frozenset[str]) -> tuple[str, ...]:
        """The newest tasks that had all of these items."""
        newest = reversed(list(zip(self.records, self.itemsets, strict=True)))
        return _first(record.task_id for record, of_record in newest if items <= of_record)


def _kinds_of(records: Sequence[ExperienceRecord], previous: Kinds | None, seed: int) -> tuple[Kinds, dict[str, int]]:
    """The kinds, and the kind of each task that has one. Of the commonest encoder only: others do not compare."""
    versions = [record.vector_version for record in records if record.vector is not None]
    common = max(set(versions), key=lambda version: (versions.count(version), str(version)), default=None)
    with_vector = [record for record in records if record.vector is not None and record.vector_version == common]
    stacked = [vector for vector in map(task_vector, with_vector) if vector is not None]
    vectors: Vectors = np.array(stacked, dtype=np.float32).reshape(len(stacked), -1 if stacked else 0)
    kinds = find_kinds(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12), seed=seed)
    if previous is not None and previous.centres.shape[1:] == kinds.centres.shape[1:]:
        kinds = renamed(kinds, previous)
    names = kinds.assign(vectors)
    named = zip(with_vector, names.tolist(), strict=True)
    return kinds, {record.task_id: name for record, name in named if name != NOISE}


def _of_kind(window: _Window, kinds: Kinds, name: int) -> SynthesizedPattern:
    tasks = [record for record in window.records if window.kind_of.get(record.task_id) == name]
    words = tasks[-1].instruction.split("\n")[0][:80]
    succeeded = sum(record.success for record in tasks) / len(tasks)
    return SynthesizedPattern(
        pattern_id=_id(window, PatternKind.KIND, str(name)),
        tenant=window.tenant,
        kind=PatternKind.KIND,
        statement=f"Kind {name}: {len(tasks)} tasks such as “{words}”; {succeeded:.0%} succeed",
        antecedent=(f"kind={name}",),
        support=len(tasks),
        support_share=len(tasks) / len(window.records),
        examples=_first(record.task_id for record in reversed(tasks)),
        since=window.since,
        until=window.until,
        miner=f"{MINER}, {kinds.method}, silhouette {kinds.silhouette:.3f}",
    )


def _of_rule(window: _Window, rule: Rule) -> SynthesizedPattern:
    items = tuple(sorted(rule.antecedent))
    return SynthesizedPattern(
        pattern_id=_id(window, PatternKind.RULE, *items, rule.consequent),
        tenant=window.tenant,
        kind=PatternKind.RULE,
        statement=(
            f"With {' and '.join(items)}, {rule.consequent} in {rule.confidence:.0%} of {rule.covered} tasks: "
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
    )


def _of_drift(window: _Window, drift: Drift) -> SynthesizedPattern:
    return SynthesizedPattern(
        pattern_id=_id(window, PatternKind.DRIFT, drift.agent_id, drift.metric, drift.at.isoformat()),
        tenant=window.tenant,
        kind=PatternKind.DRIFT,
        statement=(
            f"{drift.metric} of {drift.agent_id} went from {drift.before:.3g} to {drift.after:.3g} "
            f"at {drift.at.isoformat(timespec='seconds')}"
        ),
        antecedent=(f"agent={drift.agent_id}",),
        consequent=f"{drift.metric} {'rises' if drift.after > drift.before else 'falls'}",
        support=drift.count,
        support_share=min(drift.count / len(window.records), 1.0),
        error_rate=drift.error_rate,
        examples=drift.examples,
        since=window.since,
        until=window.until,
        miner=f"{MINER}, CUSUM",
    )


def _id(window: _Window, kind: PatternKind, *parts: str) -> str:
    return hashlib.blake2b("\x00".join((window.tenant, kind, *parts)).encode(), digest_size=16).hexdigest()


def _first(tasks: Iterable[str]) -> tuple[str, ...]:
    return tuple(task for _, task in zip(range(EXAMPLES), tasks, strict=False))

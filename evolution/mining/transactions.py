"""A record as a set of items that can be counted. Called by ``mine``; read by ``rules``."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from schemas.experience import ExperienceRecord

Transactions = Counter[frozenset[str]]
"""Distinct sets of items and how many tasks had them: experience repeats itself, a million records are thousands."""

OUTCOME_PREFIXES = ("outcome=", "failure=", "slow", "costly")
HOURS_PER_ITEM = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on a task counts as slow or costly."""

    slow_ms: float
    costly: float


def limits_of(records: Sequence[ExperienceRecord], share: float = 0.9) -> Limits:
    """The slowest and the most expensive tenth of the window."""
    if not records:
        return Limits(float("inf"), float("inf"))
    slow = float(np.quantile([record.latency_ms for record in records], share))
    return Limits(slow, float(np.quantile([record.cost for record in records], share)))


def is_outcome(item: str) -> bool:
    """Whether the item says how a task ended, and so may follow but not explain."""
    return item.startswith(OUTCOME_PREFIXES)


def items_of(record: ExperienceRecord, kind: int | None, limits: Limits) -> frozenset[str]:
    """Who worked on what, when, and how it ended."""
    items = {f"agent={agent}" for agent in record.chosen}
    items |= {f"modality={modality.value}" for modality in record.modalities}
    if len(record.chosen) > 1:
        items.add(f"network={'>'.join(record.chosen)}")
    if kind is not None:
        items.add(f"kind={kind}")
    start = record.at.hour - record.at.hour % HOURS_PER_ITEM
    items.add(f"hours={start:02d}-{start + HOURS_PER_ITEM:02d}")
    items.add("outcome=success" if record.success else "outcome=failure")
    if record.failure_code:
        items.add(f"failure={record.failure_code}")
    if record.latency_ms > limits.slow_ms:
        items.add("slow")
    if record.cost > limits.costly:
        items.add("costly")
    return frozenset(items)


def counted(itemsets: Iterable[frozenset[str]]) -> Transactions:
    """Equal sets together. Counters of different days add up, which makes mining incremental."""
    return Counter(itemsets)
